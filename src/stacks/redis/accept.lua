--[[
Gives numbers for many calls in one step, and leaves their jobs. Each call gets an answer of its
own, as if they had come one after the other; trust, time and the writes are shared.

KEYS  1 parley:ledger      2 parley:dirty          3 bq:parley:jobs       4 bq:parley:waiting
      5 and more: the counter of each call
      and, by names made here: parley:requests:<slice>, the counter of a new chat, and
      parley:external:<token>, where a chat has an external id
ARGV  1 epoch              2 accepts that the caller has seen
      3 backlog bound      4 request ids that weigh as one job
      5 prefix of the requests' hashes             6 time that a request id is kept, in ms
      7 prefix of the external ids' hashes
     8 the calls, one after the other in one text, each word of them ended by a line feed, which no
       JSON of ours has; of each call
      + field of the request id as 32 hex digits, '' for none
      + digest of its content                      + time of the call, in base 36
      + job up to its number                       + job after its running number
      + '' for a single job; of a batch how many parts follow, each what stands between the first
        part of a job and its number; of a chat with an external id that id as JSON behind a letter:
        'n' takes it, 'l' looks it up and no more

Result, a text for each call, of words with a space in between; numbers are digits:
  accepted, number, running number, numbers left
  replayed, number, time, running number               existing, number, running number
  reused     distrusted     full                       exhausted, ceiling
  unseeded, value or '' without a key, 1 where there is a ceiling all the same, mark or ''
  unnamed                   taken, number: a job has it already
  broken: what is kept of its request id or external id is not ours
  A batch is told by its first number and its last running number. The running number beside what
  was given before is that of this moment: who answers with it has seen that it was given.

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
- A new chat's counter that is there already is left as it is. It has no ceiling that holds, so the
  first message seeds it.
- Lua takes some 8,000 arguments in one call: hence the pieces of 2,000.
- Words that were arguments of their own, and arrays of words in the reply, cost the caller nearly
  twice as much: hence the texts.
]]
local call, format = redis.call, string.format
local epoch = ARGV[1]
local last = #KEYS - 4
local replies = {}

local ledger = call('HMGET', KEYS[1], 'epoch', 'accepts', 'whole')
if ledger[1] ~= epoch or ledger[2] ~= ledger[3] or tonumber(ledger[2]) < tonumber(ARGV[2]) then
  for at = 1, last do
    replies[at] = 'distrusted'
  end
  return replies
end

local time = call('TIME')
local ttl = tonumber(ARGV[6])
local slice = math.floor((tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)) / ttl)
local current = ARGV[5] .. format('%.0f', slice)
local previous = ARGV[5] .. format('%.0f', slice - 1)
local backlogMax, idsPerJob = tonumber(ARGV[3]), tonumber(ARGV[4])
local jobCount = call('HLEN', KEYS[3])
local idCount = call('HLEN', current) + call('HLEN', previous)

-- What this step will write, and what its later calls must see of its earlier ones.
local base = tonumber(ledger[2])
local accepted = 0
local counters, changed = {}, {}
local jobs, waiting, requests, dirty, chats, names = {}, {}, {}, {}, {}, {}
local given, named = {}, {}

local function counterOf(key)
  local counter = counters[key]
  if not counter then
    local application = string.sub(key, 1, 40)
    local found = call('HMGET', KEYS[1], key, application)
    local value = redis.pcall('GET', key)
    if type(value) == 'table' then
      -- No text at all, which is nobody's but who put it there.
      value = false
    end
    local ceiling = tonumber(found[1] or '')
    local mark = found[1] and not ceiling and found[1] or ''
    if mark == '' and string.sub(found[2] or '', 1, 8) == 'removed:' then
      mark = found[2]
    end
    -- A value that is no number says nothing; its key is there, so nothing is seeded over it. Nor
    -- does one that Redis would not count up from, as 1.5, which Lua takes for a number.
    local number = tonumber(string.match(value or '', '^%d+$') or '')
    value = number and value
    counter = { value = value, number = number, ceiling = ceiling, mark = mark, by = 0 }
    counters[key] = counter
  end
  return counter
end

-- Answers one call, and notes what is to be written for it.
local function step(key, field, digest, called, head, tail, contents, name, lookOnly)
  if field ~= '' then
    local found = given[field] or call('HGET', current, field) or call('HGET', previous, field)
    if found then
      digest = digest .. ' '
      if string.sub(found, 1, #digest) ~= digest then
        return 'reused'
      end
      local answer = string.match(found, '^%d+ %w+$', #digest + 1)
      return answer and 'replayed ' .. answer .. format(' %.0f', base + accepted) or 'broken'
    end
  end
  local token = string.sub(key, 5, 40)
  local external = name and ARGV[7] .. token
  if name then
    local existing = named[token .. name] or redis.pcall('HGET', external, name)
    if type(existing) == 'table' then
      -- Nobody's but who put it there, and not to be paid for by the other calls of the step.
      return 'broken'
    elseif existing then
      local number = string.match(existing, '^%d+$')
      return number and 'existing ' .. number .. format(' %.0f', base + accepted) or 'broken'
    elseif lookOnly then
      return 'unnamed'
    end
  end

  local count = contents and #contents or 1
  if jobCount + math.floor(idCount / idsPerJob) + count > backlogMax then
    return 'full'
  end
  local counter = counterOf(key)
  if not counter.number or not counter.ceiling or counter.mark ~= '' then
    local lost = counter.ceiling and not counter.number and 1 or 0
    return table.concat({ 'unseeded', counter.value or '', lost, counter.mark }, ' ')
  end
  local number = counter.number + 1
  if number > counter.ceiling - count + 1 then
    return format('exhausted %.0f', counter.ceiling)
  end

  local prefix = token .. ':' .. (#key > 40 and string.sub(key, 42) .. ':' or '')
  local ids = {}
  for at = 1, count do
    ids[at] = prefix .. format('%.0f', number + at - 1)
  end
  for at, job in ipairs(call('HMGET', KEYS[3], unpack(ids))) do
    if job then
      return format('taken %.0f', number + at - 1)
    end
  end

  -- From here on it is accepted.
  local first = format('%.0f', number)
  local between = ',"epoch":' .. epoch .. ',"accept":'
  local running = ''
  for at = 1, count do
    running = format('%.0f', base + accepted + at)
    local digits = format('%.0f', number + at - 1)
    local content = contents and contents[at] or ''
    jobs[#jobs + 1] = ids[at]
    jobs[#jobs + 1] = head .. content .. digits .. between .. running .. tail
    waiting[#waiting + 1] = ids[at]
  end
  accepted = accepted + count
  jobCount = jobCount + count
  counter.number = number + count - 1
  if counter.by == 0 then
    changed[#changed + 1] = key
  end
  counter.by = counter.by + count
  counter.change = epoch .. ':' .. running
  if #key == 40 then
    chats[#chats + 1] = key .. '-' .. first
  end
  if name then
    names[#names + 1] = { external, name, first }
    named[token .. name] = first
  end
  if field ~= '' then
    given[field] = digest .. ' ' .. first .. ' ' .. called
    requests[#requests + 1] = field
    requests[#requests + 1] = given[field]
    idCount = idCount + 1
  end
  return 'accepted ' .. first .. ' ' .. running .. format(' %.0f', counter.ceiling - counter.number)
end

local said, from = ARGV[8], 1
local function word()
  local to = string.find(said, '\n', from, true)
  local found = string.sub(said, from, to - 1)
  from = to + 1
  return found
end

for one = 1, last do
  local field, digest, called, head, tail, more = word(), word(), word(), word(), word(), word()
  if field ~= '' then
    field = struct.pack('>I4I4I4I4', tonumber(string.sub(field, 1, 8), 16),
      tonumber(string.sub(field, 9, 16), 16), tonumber(string.sub(field, 17, 24), 16),
      tonumber(string.sub(field, 25, 32), 16))
  end
  local contents, name, lookOnly
  local letter = string.sub(more, 1, 1)
  if letter == 'n' or letter == 'l' then
    name, lookOnly = cjson.decode('[' .. string.sub(more, 2) .. ']')[1], letter == 'l'
  elseif more ~= '' then
    contents = {}
    for content = 1, tonumber(more) do
      contents[content] = word()
    end
  end
  replies[one] = step(KEYS[4 + one], field, digest, called, head, tail, contents, name, lookOnly)
end
if accepted == 0 then
  return replies
end

local function inPieces(command, key, values)
  for from = 1, #values, 2000 do
    call(command, key, unpack(values, from, math.min(from + 1999, #values)))
  end
end

local whole = format('%.0f', call('HINCRBY', KEYS[1], 'accepts', accepted))
for _, key in ipairs(changed) do
  call('INCRBY', key, counters[key].by)
  dirty[#dirty + 1] = key
  dirty[#dirty + 1] = counters[key].change
end
inPieces('HSET', KEYS[3], jobs)
inPieces('LPUSH', KEYS[4], waiting)
inPieces('HSET', KEYS[2], dirty)
for _, key in ipairs(chats) do
  call('SETNX', key, '0')
end
for _, name in ipairs(names) do
  call('HSET', unpack(name))
end
if #requests > 0 then
  inPieces('HSET', current, requests)
  call('PEXPIREAT', current, format('%.0f', (slice + 2) * ttl))
end
call('HSET', KEYS[1], 'whole', whole)
return replies
