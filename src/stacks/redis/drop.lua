--[[
Takes a parked job away.

KEYS  1 bq:parley:failed   2 bq:parley:jobs
ARGV  1 job id
Result  1, or 0 where the job is not parked

Risky: a job that is put back at the same time must stay; leaving the failed set is what decides.
]]
if redis.call('SREM', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('HDEL', KEYS[2], ARGV[1])
return 1
