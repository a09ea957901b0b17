--[[
Takes the next epoch, unless Redis has lost the last ones.

Input:  KEYS   epoch, jails
        ARGV   an epoch that Redis or a host has had
Output: the epoch, or 0 if epochs were lost
]]
--- @include "epoch"

if hasLostEpoch(KEYS[1], KEYS[2], tonumber(ARGV[1])) then return 0 end
return redis.call('INCR', KEYS[1])
