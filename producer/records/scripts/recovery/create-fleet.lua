--[[
Creates the record of a fleet if Redis has none. Its id is in two fields, as producers and workers of the version before know
only `revision`. A fleet that has jails but no id, and was not known before, has lost nothing.

Input:  KEYS   fleet, fleetHosts, jails, leases
        ARGV   a JSON object: {id, foundedAt, had: whether there was a fleet when Redis was last checked,
               hosts: those to wait for, awaited: the state to set for each of them}
Output: 1, or 0 if there is one
]]
local input = cjson.decode(ARGV[1])

local known = redis.call('HMGET', KEYS[1], 'id', 'revision')
if known[1] or known[2] then
  redis.call('HSET', KEYS[1], 'id', known[1] or known[2], 'revision', known[1] or known[2])
  return 0
end
redis.call('HSET', KEYS[1], 'id', input.id, 'revision', input.id, 'foundedAt', input.foundedAt, 'expected', #input.hosts)
if not input.had and redis.call('EXISTS', KEYS[3]) == 1 then return 1 end
-- From now on a count that is missing is a loss (count-leases.lua).
redis.call('SET', KEYS[4] .. ':count', redis.call('HLEN', KEYS[4]))
if input.had then redis.call('HSET', KEYS[1], 'lost', '1') end
for _, host in ipairs(input.hosts) do redis.call('HSETNX', KEYS[2], host, input.awaited) end
return 1
