--[[
Writes a counter's ceiling: seeds the counter, or raises a ceiling that is there.

KEYS  1 counter            2 parley:ledger         3 parley:dirty
ARGV  1 epoch              2 ceiling               3 start to seed from, '' to raise
      4 mark of remove.lua that was seen before, '' for none
      5 1 where a counter is seeded whose key was lost
Result  1, or 0 where the epoch or the mark is another

Risky:
- A counter that has both value and ceiling is in use: seeding it again could take numbers back.
- Two may seed from one start. So a ceiling whose key was lost is no reason to seed, unless the start
  was granted for just that: it is then above every number of that ceiling.
- A ceiling is never given by a raise: the grant may be of an epoch that ended meanwhile.
- A seed that was asked for before the counter was removed must not bring it back: hence the mark.
]]
local ledger = redis.call('HMGET', KEYS[2], 'epoch', KEYS[1])
if ledger[1] ~= ARGV[1] then
  return 0
end
local present = ledger[2]
local mark = present and not tonumber(present) and present or ''
if ARGV[3] == '' then
  if present and mark == '' and tonumber(present) < tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[2], KEYS[1], ARGV[2])
  end
elseif mark ~= ARGV[4] then
  return 0
elseif mark ~= '' or not present or (ARGV[5] == '1' and redis.call('EXISTS', KEYS[1]) == 0) then
  redis.call('SET', KEYS[1], ARGV[3])
  redis.call('HSET', KEYS[2], KEYS[1], ARGV[2])
  if ARGV[3] ~= '0' then
    redis.call('HSET', KEYS[3], KEYS[1], ARGV[1] .. ':seed:' .. ARGV[3])
  end
end
return 1
