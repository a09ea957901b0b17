--[[
Releases claims of a batch on names, if it still has them.

Input:  KEYS   claims
        ARGV   the batch, name, …
]]
for i = 2, #ARGV do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
