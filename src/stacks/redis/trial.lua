--[[
One worker at a time tries suspects: holds the trial, takes the next group, or leaves.

KEYS  1 parley:trial              2 parley:tried            3 parley:suspects
      4 bq:parley:jobs
ARGV  1 worker                    2 how long the trial is its own, in ms
      3 'hold', 'take' or 'leave'                           4 how many run together
      5 level from which on a job is out of tries
Result  an array: 1, or 0 where another worker has the trial; the level of the group; its ids.
        From the level of ARGV[5] on the group is not to be run but to be parked.

Levels: 1 runs together with others of this level; 2 runs alone, because its worker ended while it
ran with others, or for want of others; and one more for each time that its worker ended then.

Risky:
- Who takes has ended what it took before. So what is still noted as tried was in work when its
  worker ended, and is charged with that here and nowhere else. Who leaves charges nothing.
- The lowest level comes first: what is likely innocent is done before the next worker may end.
]]
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
  return { 0 }
end
if ARGV[3] == 'leave' then
  if owner then
    redis.call('DEL', KEYS[1], KEYS[2])
  end
  return { 1 }
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if ARGV[3] == 'hold' then
  return { 1 }
end

for _, id in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  if redis.call('ZSCORE', KEYS[3], id) then
    redis.call('ZINCRBY', KEYS[3], 1, id)
  end
end
redis.call('DEL', KEYS[2])

local together = tonumber(ARGV[4])
local guilty = redis.call('ZRANGEBYSCORE', KEYS[3], ARGV[5], '+inf', 'LIMIT', 0, together)
if #guilty > 0 then
  return { 1, tonumber(ARGV[5]), unpack(guilty) }
end
while true do
  local found = redis.call('ZRANGE', KEYS[3], 0, together - 1, 'WITHSCORES')
  if #found == 0 then
    return { 1 }
  end
  local group, first = {}, nil
  for at = 1, #found, 2 do
    local id, level = found[at], tonumber(found[at + 1])
    if redis.call('HEXISTS', KEYS[4], id) == 0 then
      redis.call('ZREM', KEYS[3], id)
    elseif not first or (first == 1 and level == 1) then
      first = first or level
      group[#group + 1] = id
    end
  end
  if first then
    if first == 1 and #group == 1 then
      first = 2
      redis.call('ZADD', KEYS[3], 2, group[1])
    end
    redis.call('SADD', KEYS[2], unpack(group))
    return { 1, first, unpack(group) }
  end
end
