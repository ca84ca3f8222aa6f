--[[
Records what became of a suspect.

KEYS  1 parley:suspects           2 parley:tried            3 bq:parley:jobs
      4 bq:parley:failed          5 bq:parley:delayed
ARGV  1 job id                    2 'done', 'excused' or 'failed'
      3 its JSON, where it failed
      4 when it is tried again, in ms since 1970, '' to park it
Result  1, or 0 where it is no suspect any more

Risky:
- A job that is done is done, whatever another worker made of it meanwhile.
- A job that failed is moved only by who takes it from the suspects, so it is in one place.
]]
redis.call('SREM', KEYS[2], ARGV[1])
if ARGV[2] == 'excused' then
  return 1
end
local suspect = redis.call('ZREM', KEYS[1], ARGV[1])
if ARGV[2] == 'done' then
  redis.call('HDEL', KEYS[3], ARGV[1])
  redis.call('SREM', KEYS[4], ARGV[1])
  redis.call('ZREM', KEYS[5], ARGV[1])
elseif suspect == 1 and redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1 then
  redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
  if ARGV[4] == '' then
    redis.call('SADD', KEYS[4], ARGV[1])
  else
    redis.call('ZADD', KEYS[5], ARGV[4], ARGV[1])
  end
end
return suspect
