--[[
Makes suspects of the jobs whose worker ended or is silent: nobody said in time that they live. In
place of Bee-Queue's own check, which puts them back as if nothing were known of them.

KEYS  1 bq:parley:stallBlock      2 parley:stalls           3 bq:parley:stalling
      4 bq:parley:active          5 bq:parley:jobs          6 parley:suspects
ARGV  1 time within which workers say that a job lives, in ms
Result  how many suspects there are

Risky:
- Bee-Queue's check does nothing while it finds its block set, so the block must outlast the pause
  to the next look. It vanishes by itself, so that an older Parley finds its own check at work.
- The active list is written anew, in its order, since taking ids out one by one is quadratic.
- A job that is a suspect already keeps what is known of it.
]]
local ms = tonumber(ARGV[1])
redis.call('SET', KEYS[1], '1', 'PX', 3 * ms)
if redis.call('SET', KEYS[2], '1', 'PX', ms, 'NX') then
  local silent = {}
  for _, id in ipairs(redis.call('SMEMBERS', KEYS[3])) do
    silent[id] = true
  end
  local active = redis.call('LRANGE', KEYS[4], 0, -1)
  local living = {}
  for _, id in ipairs(active) do
    if not silent[id] then
      living[#living + 1] = id
    elseif redis.call('HEXISTS', KEYS[5], id) == 1 then
      redis.call('ZADD', KEYS[6], 'NX', 1, id)
    end
  end
  if #living < #active then
    redis.call('DEL', KEYS[4])
    for at = 1, #living, 1000 do
      redis.call('RPUSH', KEYS[4], unpack(living, at, math.min(at + 999, #living)))
    end
  end
  redis.call('DEL', KEYS[3])
  for at = 1, #living, 1000 do
    redis.call('SADD', KEYS[3], unpack(living, at, math.min(at + 999, #living)))
  end
end
return redis.call('ZCARD', KEYS[6])
