--[[
Takes ids without a job out of the active list. They come of a job that was handed out again while
its slow first worker ended it after all; Bee-Queue would pass them round for ever.

KEYS  1 bq:parley:active   2 bq:parley:jobs        3 bq:parley:waiting
ARGV  1 how many ids to look at, from the oldest on
Result  an array: how many were taken out, how many jobs wait

Risky: an id without a job is a ghost only because accept.lua writes the job before its id, and
Bee-Queue takes away both in one step.
]]
local cleared = 0
for _, id in ipairs(redis.call('LRANGE', KEYS[1], -tonumber(ARGV[1]), -1)) do
  if redis.call('HEXISTS', KEYS[2], id) == 0 then
    cleared = cleared + redis.call('LREM', KEYS[1], -1, id)
  end
end
return { cleared, redis.call('LLEN', KEYS[3]) }
