--[[
Takes waiting jobs into work, oldest first, as Bee-Queue takes each of them.

KEYS  1 bq:parley:waiting  2 bq:parley:active      3 bq:parley:jobs
ARGV  1 how many at most
Result  an array: id and JSON of each job

Risky: an id without a job would take up a place of its worker for ever, so it is left out here; see
ghosts.lua.
]]
local taken = {}
for _ = 1, tonumber(ARGV[1]) do
  local id = redis.call('RPOPLPUSH', KEYS[1], KEYS[2])
  if not id then
    break
  end
  local job = redis.call('HGET', KEYS[3], id)
  if job then
    taken[#taken + 1] = id
    taken[#taken + 1] = job
  else
    redis.call('LREM', KEYS[2], 1, id)
  end
end
return taken
