--[[
What accept.lua and accept-batch.lua begin with: looks at everything before the first write, or says
why no number is given. Before it stands `local count`, how many numbers are wanted.

KEYS  1 counter            2 parley:ledger         3 parley:dirty
      4 bq:parley:jobs     5 bq:parley:waiting
      6 parley:external:<token>, only where a chat has an external id
      and, by names made here: parley:requests:<slice>, and the counter of a new chat
ARGV  1 epoch              2 accepts that the caller has seen
      3 backlog bound      4 request ids that weigh as one job
      5 prefix of the requests' hashes             6 time that a request id is kept, in ms
      7 field of the request id, '' for none       8 digest of its content
      9 time of the call, in base 36              10 prefix of the jobs' ids
     the rest is said in accept.lua and accept-batch.lua; with a sixth key
     14 external id                               15 1 to look it up and no more

Result, an array; numbers are digits:
  'accepted', number, running number, numbers left     'replayed', 'number time'
  'reused'   'distrusted'   'full'                     'exhausted', ceiling
  'unseeded', value or '' without a key, 1 where there is a ceiling all the same, mark or ''
  'existing', number        'unnamed'
  A batch is told by its first number and its last running number.

Risky:
- Everything is looked at before the first write, and the first write is one that a Redis without
  memory refuses. So the writes happen all or not at all.
- A Redis that is started with the end of its file cut off leaves the first writes of the step that
  was cut in the file, and the next start runs them. So the first write counts the accepts, the last
  one notes the count as it is then: where the two differ, half a step came to life at some time.
- Lua's `..` rounds numbers to 14 digits, and ioredis misreads integers near 2^53: hence the
  formats, in the reply too.
- A ceiling without its counter is a counter that was lost: its numbers must not come again. That
  is seen because ceilings lie in one hash with the epoch: who loses them loses the epoch too.
- In place of a ceiling can stand a mark of remove.lua, which is no number. Where the application
  (the first 40 characters of a counter's key) was removed, so were all its chats.
- An external id is looked up after the request id, whose answer stands, and before the backlog,
  since an answer that is there already leaves no job.
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

if KEYS[6] then
  local existing = redis.call('HGET', KEYS[6], ARGV[14])
  if existing then
    return { 'existing', existing }
  elseif ARGV[15] == '1' then
    return { 'unnamed' }
  end
end

local ids = redis.call('HLEN', current) + redis.call('HLEN', previous)
local backlog = redis.call('HLEN', KEYS[4]) + math.floor(ids / tonumber(ARGV[4]))
if backlog + count > tonumber(ARGV[3]) then
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
if number > ceiling - count + 1 then
  return { 'exhausted', string.format('%.0f', ceiling) }
end
