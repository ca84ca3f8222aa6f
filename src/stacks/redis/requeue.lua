--[[
Puts a parked job back with all its tries.

KEYS  1 bq:parley:failed   2 bq:parley:jobs        3 bq:parley:waiting
ARGV  1 job id             2 its JSON, made new    3 name of the suspects, for one that ended workers
Result  1, or 0 where the job is not parked

Risky: two that requeue at once must push the id once; leaving the failed set is what decides.
]]
if redis.call('SREM', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
if ARGV[3] then
  redis.call('ZADD', ARGV[3], 2, ARGV[1])
else
  redis.call('LPUSH', KEYS[3], ARGV[1])
end
return 1
