--[[
Gives numbers for many calls in one step, and leaves their jobs. Each call gets an answer of its
own, as if they had come one after the other; trust, time and the writes are shared.

KEYS  1 parley:ledger      2 parley:dirty          3 bq:parley:jobs       4 bq:parley:waiting
      and, by names made here or said by the calls: parley:requests:<slice>, the counters, and
      parley:external:<token>, where a chat has an external id
ARGV  1 epoch              2 accepts that the caller has seen
      3 backlog bound      4 request ids that weigh as one job
      5 prefix of the requests' hashes             6 time that a request id is kept, in ms
      7 prefix of the external ids' hashes
     8 how many calls there are
     9 the calls, one after the other in one text, each word of them ended by a line feed, which no
       JSON of ours has; of each call
      + key of its counter
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
  broken: what is kept of its request id, its external id or its counter is not ours
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
- Words that are arguments of their own, or arrays in the reply, cost the caller twice as much.
]]
local call, format = redis.call, string.format
local epoch = ARGV[1]
local last = tonumber(ARGV[8])

-- The calls, and what is to be looked at for them. Each call of Redis costs as much as what it asks
-- for, so everything is asked for at once.
local calls, counters, keys, fields = {}, {}, {}, {}
local entries = { 'epoch', 'accepts', 'whole' }
local said, from = ARGV[9], 1
local function word()
  local to = string.find(said, '\n', from, true)
  local found = string.sub(said, from, to - 1)
  from = to + 1
  return found
end
for one = 1, last do
  local key, field, digest, called = word(), word(), word(), word()
  local head, tail, more = word(), word(), word()
  local given = { key = key, digest = digest, called = called, head = head, tail = tail }
  calls[one] = given
  if not counters[key] then
    counters[key] = {}
    keys[#keys + 1] = key
    entries[#entries + 1] = key
    entries[#entries + 1] = string.sub(key, 1, 40)
  end
  if field ~= '' then
    field = struct.pack('>I4I4I4I4', tonumber(string.sub(field, 1, 8), 16),
      tonumber(string.sub(field, 9, 16), 16), tonumber(string.sub(field, 17, 24), 16),
      tonumber(string.sub(field, 25, 32), 16))
    given.field = field
    fields[#fields + 1] = field
  end
  local letter = string.sub(more, 1, 1)
  if letter == 'n' or letter == 'l' then
    given.name, given.lookOnly = cjson.decode('[' .. string.sub(more, 2) .. ']')[1], letter == 'l'
  elseif more ~= '' then
    local contents = {}
    for content = 1, tonumber(more) do
      contents[content] = word()
    end
    given.contents = contents
  end
end

local replies = {}
local ledger = call('HMGET', KEYS[1], unpack(entries))
if ledger[1] ~= epoch or ledger[2] ~= ledger[3] or tonumber(ledger[2]) < tonumber(ARGV[2]) then
  for one = 1, last do
    replies[one] = 'distrusted'
  end
  return replies
end

local time = call('TIME')
local ttl = tonumber(ARGV[6])
local slice = math.floor((tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)) / ttl)
local current = ARGV[5] .. format('%.0f', slice)
local previous = ARGV[5] .. format('%.0f', slice - 1)
local backlogMax, idsPerJob = tonumber(ARGV[3]), tonumber(ARGV[4])
local jobsBefore = call('HLEN', KEYS[3])
local idsBefore = call('HLEN', current) + call('HLEN', previous)

-- What was given before to calls with a request id, by its field.
local answers = {}
for _, requests in ipairs(#fields > 0 and { previous, current } or {}) do
  for at, answer in ipairs(call('HMGET', requests, unpack(fields))) do
    answers[fields[at]] = answer or answers[fields[at]]
  end
end

-- MGET takes what is no text for nothing.
for at, value in ipairs(call('MGET', unpack(keys))) do
  local counter = counters[keys[at]]
  local entry, application = ledger[2 + 2 * at], ledger[3 + 2 * at]
  counter.ceiling = tonumber(entry or '')
  counter.mark = entry and not counter.ceiling and entry or ''
  if counter.mark == '' and string.sub(application or '', 1, 8) == 'removed:' then
    counter.mark = application
  end
  -- Redis would not count up from 1.5, which Lua takes for a number.
  counter.value = tonumber(string.match(value or '', '^%d+$') or '')
  counter.text = counter.value and value or ''
end

-- What this step will write, and what its later calls must see of its earlier ones.
local base = tonumber(ledger[2])
local accepted, jobCount, idCount
local changed, jobs, waiting, requests, chats, names, given, named
-- Numbers that a job has already, by the job's id.
local taken = {}

-- Answers one call, and notes what is to be written for it.
local function step(one)
  local key, field, digest = one.key, one.field, one.digest
  if field then
    local found = given[field] or answers[field]
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
  local name = one.name
  local external = name and ARGV[7] .. token
  if name then
    local existing = named[token .. name] or redis.pcall('HGET', external, name)
    if type(existing) == 'table' then
      -- Nobody's but who put it there, and not to be paid for by the other calls of the step.
      return 'broken'
    elseif existing then
      local number = string.match(existing, '^%d+$')
      return number and 'existing ' .. number .. format(' %.0f', base + accepted) or 'broken'
    elseif one.lookOnly then
      return 'unnamed'
    end
  end

  local contents = one.contents
  local count = contents and #contents or 1
  if jobCount + math.floor(idCount / idsPerJob) + count > backlogMax then
    return 'full'
  end
  local counter = counters[key]
  if counter.ceiling and counter.mark == '' and not counter.value and call('EXISTS', key) == 1 then
    -- Nothing is seeded over a key that is there, so nobody has to be asked for a start.
    return 'broken'
  end
  if not counter.value or not counter.ceiling or counter.mark ~= '' then
    local lost = counter.ceiling and not counter.value and 1 or 0
    return table.concat({ 'unseeded', counter.text, lost, counter.mark }, ' ')
  end
  local before = counter.value + counter.by
  if before + count > counter.ceiling then
    return format('exhausted %.0f', counter.ceiling)
  end

  local prefix = token .. ':' .. (#key > 40 and string.sub(key, 42) .. ':' or '')
  if next(taken) then
    -- Counted from 1: beyond 2^53 adding 1 changes nothing, and a loop would not end.
    for at = 1, count do
      local digits = format('%.0f', before + at)
      if taken[prefix .. digits] then
        return 'taken ' .. digits
      end
    end
  end

  -- From here on it is accepted.
  local first = format('%.0f', before + 1)
  local between = ',"epoch":' .. epoch .. ',"accept":'
  local running = ''
  for at = 1, count do
    running = format('%.0f', base + accepted + at)
    local digits = format('%.0f', before + at)
    local content = contents and contents[at] or ''
    local id = prefix .. digits
    jobs[#jobs + 1] = id
    jobs[#jobs + 1] = one.head .. content .. digits .. between .. running .. one.tail
    waiting[#waiting + 1] = id
  end
  accepted = accepted + count
  jobCount = jobCount + count
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
  if field then
    given[field] = digest .. ' ' .. first .. ' ' .. one.called
    requests[#requests + 1] = field
    requests[#requests + 1] = given[field]
    idCount = idCount + 1
  end
  local left = counter.ceiling - counter.value - counter.by
  return 'accepted ' .. first .. ' ' .. running .. format(' %.0f', left)
end

local function answerAll()
  accepted, jobCount, idCount = 0, jobsBefore, idsBefore
  changed, jobs, waiting, requests, chats, names, given, named = {}, {}, {}, {}, {}, {}, {}, {}
  for _, key in ipairs(keys) do
    counters[key].by = 0
  end
  for at, one in ipairs(calls) do
    replies[at] = step(one)
  end
end

-- Runs a command with many values; `hear` is told the reply to each, where each has one.
local function inPieces(command, key, values, hear)
  for first = 1, #values, 2000 do
    local reply = call(command, key, unpack(values, first, math.min(first + 1999, #values)))
    for at, one in ipairs(hear and reply or {}) do
      hear(values[first + at - 1], one)
    end
  end
end

-- True where a job has a number already that was just given: then none of all that holds.
local function findTaken()
  local found = false
  inPieces('HMGET', KEYS[3], waiting, function(id, job)
    if job then
      taken[id] = true
      found = true
    end
  end)
  return found
end

repeat
  answerAll()
until not findTaken()
if accepted == 0 then
  return replies
end

local whole = format('%.0f', call('HINCRBY', KEYS[1], 'accepts', accepted))
local dirty = {}
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
