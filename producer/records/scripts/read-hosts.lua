--[[
Reads what Redis has of hosts. One command for many: thousands of them every second would cost a producer several times more.

Input:  KEYS   of each host: its beat, alive, its ledger, its operations
        ARGV   the resources of a ledger
Output: [[beat, milliseconds that it is still alive, [amount of each resource, …], how many operations are open], …]
]]
local answers = {}
for i = 1, #KEYS, 4 do
  table.insert(answers, {
    redis.call('GET', KEYS[i]),
    redis.call('PTTL', KEYS[i + 1]),
    redis.call('HMGET', KEYS[i + 2], unpack(ARGV)),
    redis.call('ZCARD', KEYS[i + 3]),
  })
end
return answers
