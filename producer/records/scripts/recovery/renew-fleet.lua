--[[
Gives a fleet another id, so that its hosts upload their journals: Redis is older than they are. A host that was forgotten and has
not come back stays so.

Input:  KEYS   fleet, fleetHosts
        ARGV   a JSON object: {was: the id so far, id, foundedAt, hosts: those to wait for, awaited: the state to set for each of them}
Output: 1, or 0 if another producer has done so
]]
local input = cjson.decode(ARGV[1])

if redis.call('HGET', KEYS[1], 'id') ~= input.was then return 0 end
redis.call('HSET', KEYS[1], 'id', input.id, 'revision', input.id, 'foundedAt', input.foundedAt, 'expected', #input.hosts, 'lost', '1')
local states = redis.call('HGETALL', KEYS[2])
for i = 1, #states, 2 do
  if cjson.decode(states[i + 1]).state ~= 'forgotten' then redis.call('HDEL', KEYS[2], states[i]) end
end
for _, host in ipairs(input.hosts) do redis.call('HSET', KEYS[2], host, input.awaited) end
return 1
