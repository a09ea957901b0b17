--[[
Makes the next epoch higher than any that a host has seen.

Input:  KEYS   epoch
        ARGV   the highest that the host has seen
]]
if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
