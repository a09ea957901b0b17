--[[
Takes a lock that nobody has.

Input:  KEYS   the lock
        ARGV   a token of the taker, for how many milliseconds
Output: 1, or 0 if somebody has it
]]
if redis.call('HSETNX', KEYS[1], 'token', ARGV[1]) == 0 then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
