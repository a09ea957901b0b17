--[[
Takes a lock that nobody has. Its token is in two fields, as producers of the version before know only `revision`.

Input:  KEYS   the lock
        ARGV   a token of the taker, for how many milliseconds
Output: 1, or 0 if somebody has it
]]
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'revision', ARGV[1])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
