--[[
Gives the next numbers of a chat to many messages and leaves their jobs, or says why not. It begins
with admit.lua.

ARGV 11 what the jobs begin with                  12 each job after its running number
     13 and more: each job from there up to its number

Risky: Lua takes some 8,000 arguments in one call. There are at most 1,000 messages.
]]
local base = tonumber(ledger[2])
local between = ',"epoch":' .. ARGV[1] .. ',"accept":'
local jobs, fields = {}, {}
for at = 1, count do
  local digits = string.format('%.0f', number + at - 1)
  local running = string.format('%.0f', base + at)
  local id = ARGV[10] .. digits
  jobs[at] = id
  fields[2 * at - 1] = id
  fields[2 * at] = ARGV[11] .. ARGV[12 + at] .. digits .. between .. running .. ARGV[12]
end
for at, job in ipairs(redis.call('HMGET', KEYS[4], unpack(jobs))) do
  if job then
    return redis.error_reply('PARLEY there is a job already: ' .. jobs[at])
  end
end

local digits = string.format('%.0f', number)
local running = string.format('%.0f', base + count)
redis.call('HINCRBY', KEYS[2], 'accepts', count)
redis.call('INCRBY', KEYS[1], count)
redis.call('HSET', KEYS[4], unpack(fields))
redis.call('LPUSH', KEYS[5], unpack(jobs))
redis.call('HSET', KEYS[3], KEYS[1], ARGV[1] .. ':' .. running)
if ARGV[7] ~= '' then
  redis.call('HSET', current, ARGV[7], ARGV[8] .. ' ' .. digits .. ' ' .. ARGV[9])
  redis.call('PEXPIREAT', current, string.format('%.0f', (slice + 2) * ttl))
end
redis.call('HSET', KEYS[2], 'whole', running)
return { 'accepted', digits, running, string.format('%.0f', ceiling - number - count + 1) }
