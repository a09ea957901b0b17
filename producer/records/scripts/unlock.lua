--[[
Releases a lock, unless it has expired and somebody else has it now.

Input:  KEYS   the lock
        ARGV   the token it was taken with
]]
if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then redis.call('DEL', KEYS[1]) end
