--[[
Puts jobs back that were taken and not begun, to be the next that are taken.

KEYS  1 bq:parley:waiting  2 bq:parley:active
ARGV  their ids, as they were taken
]]
for at = #ARGV, 1, -1 do
  if redis.call('LREM', KEYS[2], 1, ARGV[at]) == 1 then
    redis.call('RPUSH', KEYS[1], ARGV[at])
  end
end
