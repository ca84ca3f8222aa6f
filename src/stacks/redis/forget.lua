--[[
Forgets changes of counters, but for those that changed again.

KEYS  1 parley:dirty
ARGV  pairs of a counter's key and the change that was copied
Result  how many were forgotten
]]
local forgotten = 0
for at = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[at]) == ARGV[at + 1] then
    forgotten = forgotten + redis.call('HDEL', KEYS[1], ARGV[at])
  end
end
return forgotten
