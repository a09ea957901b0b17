--[[
Compares the leases with their count, which changes with them, or sets it.

Input:  KEYS   leases
        ARGV   'set' once no lease is missing any more
Output: 1 if leases were lost, or else 0
]]
local count = KEYS[1] .. ':count'
local now, counted = redis.call('HLEN', KEYS[1]), tonumber(redis.call('GET', count) or '0')
if ARGV[1] ~= 'set' and now < counted then return 1 end
if now ~= counted then redis.call('SET', count, now) end
return 0
