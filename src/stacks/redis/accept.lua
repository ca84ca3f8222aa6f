--[[
Gives the next number of a counter and leaves its job, or says why not.

KEYS  1 counter            2 parley:ledger         3 parley:dirty
      4 bq:parley:jobs     5 bq:parley:waiting
      and, by names made here: parley:requests:<slice>, and the counter of a new chat
ARGV  1 epoch              2 accepts that the caller has seen
      3 backlog bound      4 request ids that weigh as one job
      5 prefix of the requests' hashes             6 time that a request id is kept, in ms
      7 field of the request id, '' for none       8 digest of its content
      9 time of the call, in base 36              10 prefix of the job's id
     11 job up to its number                      12 job after its running number
     13 prefix of the new chat's counter, '' for a message

Result, an array; numbers are digits:
  'accepted', number, running number, numbers left     'replayed', 'number time'
  'reused'   'distrusted'   'full'                     'exhausted', ceiling
  'unseeded', value or '' without a key, 1 where there is a ceiling all the same, mark or ''

Risky:
- Everything is looked at before the first write, and the first write is one that a Redis without
  memory refuses. So the writes happen all or not at all.
- A Redis that is started with the end of its file cut off leaves the first writes of the step that
  was cut in the file, and the next start runs them. So the first write counts the accept, the last
  one notes the count as it is then: where the two differ, half a step came to life at some time.
- Lua's `..` rounds numbers to 14 digits, and ioredis misreads integers near 2^53: hence the
  formats, in the reply too.
- A ceiling without its counter is a counter that was lost: its numbers must not come again. That
  is seen because ceilings lie in one hash with the epoch: who loses them loses the epoch too.
- In place of a ceiling can stand a mark of remove.lua, which is no number. Where the application
  (the first 40 characters of a counter's key) was removed, so were all its chats.
- A new chat's counter that is there already is left as it is. It has no ceiling that holds, so the
  first message seeds it.
]]
local application = string.sub(KEYS[1], 1, 40)
local ledger = redis.call('HMGET', KEYS[2], 'epoch', 'accepts', KEYS[1], application, 'whole')
if ledger[1] ~= ARGV[1] or ledger[2] ~= ledger[5] or tonumber(ledger[2]) < tonumber(ARGV[2]) then
  return { 'distrusted' }
end

local time = redis.call('TIME')
local ttl = tonumber(ARGV[6])
local slice = math.floor((tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)) / ttl)
local current = ARGV[5] .. string.format('%.0f', slice)
local previous = ARGV[5] .. string.format('%.0f', slice - 1)
if ARGV[7] ~= '' then
  local given = redis.call('HGET', current, ARGV[7]) or redis.call('HGET', previous, ARGV[7])
  if given then
    local digest = ARGV[8] .. ' '
    if string.sub(given, 1, #digest) ~= digest then
      return { 'reused' }
    end
    return { 'replayed', string.sub(given, #digest + 1) }
  end
end

local ids = redis.call('HLEN', current) + redis.call('HLEN', previous)
local backlog = redis.call('HLEN', KEYS[4]) + math.floor(ids / tonumber(ARGV[4]))
if backlog >= tonumber(ARGV[3]) then
  return { 'full' }
end

local value = redis.call('GET', KEYS[1])
local ceiling = tonumber(ledger[3] or '')
local mark = ledger[3] and not ceiling and ledger[3] or ''
if mark == '' and string.sub(ledger[4] or '', 1, 8) == 'removed:' then
  mark = ledger[4]
end
if not value or not ceiling or mark ~= '' then
  return { 'unseeded', value or '', ceiling and not value and 1 or 0, mark }
end
local number = tonumber(value) + 1
if number > ceiling then
  return { 'exhausted', string.format('%.0f', ceiling) }
end
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
if ARGV[7] ~= '' then
  redis.call('HSET', current, ARGV[7], ARGV[8] .. ' ' .. digits .. ' ' .. ARGV[9])
  redis.call('PEXPIREAT', current, string.format('%.0f', (slice + 2) * ttl))
end
redis.call('HSET', KEYS[2], 'whole', running)
return { 'accepted', digits, running, string.format('%.0f', ceiling - number) }
