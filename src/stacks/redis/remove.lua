--[[
Takes a counter away and leaves a mark in place of its ceiling.

KEYS  1 counter            2 parley:ledger         3 parley:dirty
ARGV  1 mark               2 value that the counter must have, '' for no key, '*' for any
Result  1, or 0 where the value is another

Risky:
- The mark goes when its epoch ends. That does no harm: every grant of that epoch ends with it.
- 'closed:' never takes the place of 'removed:', which accept.lua knows the application by.
]]
if ARGV[2] ~= '*' then
  if (redis.call('GET', KEYS[1]) or '') ~= ARGV[2] then
    return 0
  end
  local present = redis.call('HGET', KEYS[2], KEYS[1]) or ''
  if string.sub(present, 1, 8) == 'removed:' then
    return 1
  end
end
redis.call('HSET', KEYS[2], KEYS[1], ARGV[1])
redis.call('DEL', KEYS[1])
redis.call('HDEL', KEYS[3], KEYS[1])
return 1
