--[[
Compares the leases with their count, which changes with them, or sets it.

Input:  KEYS   leases
        ARGV   'set' once no lease is missing any more
Output: 1 if leases or their count were lost, or else 0
]]
local count = KEYS[1] .. ':count'
local now, counted = redis.call('HLEN', KEYS[1]), redis.call('GET', count)
if ARGV[1] ~= 'set' and (not counted or now < tonumber(counted)) then return 1 end
if now ~= tonumber(counted or '-1') then redis.call('SET', count, now) end
return 0
