--[[
Takes jobs away that are done, as Bee-Queue takes each of them away.

KEYS  1 bq:parley:active   2 bq:parley:stalling    3 bq:parley:jobs
ARGV  their ids

Risky:
- The oldest of the active jobs are at the end of the list, and they are done first: so each is
  looked for from there, and found soon.
- The job goes last: where half a step came to life, an id without a job is a ghost, and a job
  without a place is done again. Both are found, see ghosts.lua and strays.lua.
]]
for _, id in ipairs(ARGV) do
  redis.call('LREM', KEYS[1], -1, id)
end
redis.call('SREM', KEYS[2], unpack(ARGV))
redis.call('HDEL', KEYS[3], unpack(ARGV))
