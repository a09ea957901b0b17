--[[
Gives Redis a fleet where it has none. A fleet from before its id had a field of its own keeps that id, and one that has jails
but no id has lost nothing.

Input:  KEYS   fleet, fleetHosts, jails
        ARGV   a JSON object: {id, foundedAt, had: whether there was a fleet at the last look,
               hosts: those to wait for, awaited: how far each of them is}
Output: 1, or 0 when there is one
]]
local input = cjson.decode(ARGV[1])

local older = redis.call('HGET', KEYS[1], 'revision')
if older then
  redis.call('HSET', KEYS[1], 'id', older)
  redis.call('HDEL', KEYS[1], 'revision')
end
if redis.call('HEXISTS', KEYS[1], 'id') == 1 then return 0 end
redis.call('HSET', KEYS[1], 'id', input.id, 'foundedAt', input.foundedAt, 'expected', #input.hosts)
if not input.had and redis.call('EXISTS', KEYS[3]) == 1 then return 1 end
if input.had then redis.call('HSET', KEYS[1], 'lost', '1') end
for _, host in ipairs(input.hosts) do redis.call('HSETNX', KEYS[2], host, input.awaited) end
return 1
