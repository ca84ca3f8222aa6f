--[[
Puts jobs back into the waiting list that are in no place at all.

A Redis that is started with the end of its append-only file cut off drops the transaction that was
cut, but leaves its first commands in the file; the next start runs them together with the
transaction that was written after them. So half an accept can come to life: its job without its id.

KEYS  1 bq:parley:jobs            2 bq:parley:waiting       3 bq:parley:active
      4 bq:parley:delayed         5 bq:parley:failed        6 parley:suspects
ARGV  1 jobs from which on nothing is looked at
Result  how many were put back

Risky:
- Looked at only while nothing waits, so that the lists are short; and where there are more jobs
  than places for them, so that it costs nothing while there is no stray.
- Every other script moves a job from place to place in one step, so none is between places.
]]
local jobs = redis.call('HLEN', KEYS[1])
local places = redis.call('LLEN', KEYS[3]) + redis.call('ZCARD', KEYS[4])
  + redis.call('SCARD', KEYS[5]) + redis.call('ZCARD', KEYS[6])
if redis.call('LLEN', KEYS[2]) > 0 or jobs <= places or jobs > tonumber(ARGV[1]) then
  return 0
end
local active = {}
for _, id in ipairs(redis.call('LRANGE', KEYS[3], 0, -1)) do
  active[id] = true
end
local strays = 0
for _, id in ipairs(redis.call('HKEYS', KEYS[1])) do
  if not active[id] and redis.call('SISMEMBER', KEYS[5], id) == 0
    and not redis.call('ZSCORE', KEYS[4], id) and not redis.call('ZSCORE', KEYS[6], id) then
    redis.call('RPUSH', KEYS[2], id)
    strays = strays + 1
  end
end
return strays
