--[[
Writes a counter's ceiling: seeds the counter, or raises a ceiling that is there.

KEYS  1 counter            2 parley:ledger         3 parley:ceilings      4 parley:dirty
ARGV  1 epoch              2 ceiling               3 start to seed from, '' to raise
      4 mark of remove.lua that was seen before, '' for none
Result  1, or 0 where the epoch or the mark is another

Risky:
- A counter that has both value and ceiling is in use: seeding it again could take numbers back.
- A ceiling is never given by a raise: the grant may be of an epoch that ended meanwhile.
- A seed that was asked for before the counter was removed must not bring it back: hence the mark.
]]
if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[1] then
  return 0
end
local present = redis.call('HGET', KEYS[3], KEYS[1])
local mark = present and not tonumber(present) and present or ''
if ARGV[3] == '' then
  if present and mark == '' and tonumber(present) < tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[3], KEYS[1], ARGV[2])
  end
elseif mark ~= (ARGV[4] or '') then
  return 0
elseif mark ~= '' or not present or redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('SET', KEYS[1], ARGV[3])
  redis.call('HSET', KEYS[3], KEYS[1], ARGV[2])
  if ARGV[3] ~= '0' then
    redis.call('HSET', KEYS[4], KEYS[1], ARGV[1] .. ':seed:' .. ARGV[3])
  end
end
return 1
