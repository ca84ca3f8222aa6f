--[[
Begins an epoch in Redis: counters, jobs and request ids stay, ceilings are forgotten.

KEYS  1 parley:ledger
ARGV  1 epoch
Result  1, or 0 where this epoch or a later one is there already

Risky: the ceilings must go in the same step, or numbers of the last epoch would be given in this one.
]]
local present = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
if present >= tonumber(ARGV[1]) then
  return 0
end
redis.call('UNLINK', KEYS[1])
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'accepts', '0', 'whole', '0')
return 1
