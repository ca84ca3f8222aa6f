--[[
Gives the next number of a counter and leaves its job, or says why not. It begins with admit.lua.

ARGV 11 job up to its number                      12 job after its running number
     13 prefix of the new chat's counter, '' for a message

Risky: a new chat's counter that is there already is left as it is. It has no ceiling that holds, so
the first message seeds it.
]]
local digits = string.format('%.0f', number)
local id = ARGV[10] .. digits
if redis.call('HEXISTS', KEYS[4], id) == 1 then
  return redis.error_reply('PARLEY a job has number ' .. digits .. ' of ' .. KEYS[1] .. ' already')
end

local accept = redis.call('HINCRBY', KEYS[2], 'accepts', 1)
redis.call('INCR', KEYS[1])
local running = string.format('%.0f', accept)
redis.call('HSET', KEYS[4], id,
  ARGV[11] .. digits .. ',"epoch":' .. ARGV[1] .. ',"accept":' .. running .. ARGV[12])
redis.call('LPUSH', KEYS[5], id)
redis.call('HSET', KEYS[3], KEYS[1], ARGV[1] .. ':' .. running)
if ARGV[13] ~= '' then
  redis.call('SETNX', ARGV[13] .. digits, '0')
end
if KEYS[6] then
  redis.call('HSET', KEYS[6], ARGV[14], digits)
end
if ARGV[7] ~= '' then
  redis.call('HSET', current, ARGV[7], ARGV[8] .. ' ' .. digits .. ' ' .. ARGV[9])
  redis.call('PEXPIREAT', current, string.format('%.0f', (slice + 2) * ttl))
end
redis.call('HSET', KEYS[2], 'whole', running)
return { 'accepted', digits, running, string.format('%.0f', ceiling - number) }
