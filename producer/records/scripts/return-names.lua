--[[
Gives names back that a batch has claimed, as far as they still are its own.

Input:  KEYS   claims
        ARGV   the batch, name, …
]]
for i = 2, #ARGV do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
