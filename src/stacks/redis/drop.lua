--[[
Takes parked jobs away.

KEYS  1 bq:parley:failed   2 bq:parley:jobs
ARGV  job ids
Result  how many were parked

Risky: one that was put back meanwhile is no longer parked and stays; leaving the set decides.
]]
local dropped = 0
for _, id in ipairs(ARGV) do
  if redis.call('SREM', KEYS[1], id) == 1 then
    redis.call('HDEL', KEYS[2], id)
    dropped = dropped + 1
  end
end
return dropped
