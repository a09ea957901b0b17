--[[
Reads what Redis has of hosts. One call for many hosts: thousands of commands a second would cost a producer several times more.

Input:  KEYS   of each host: its beat, alive, its ledger, its operations, its jails
        ARGV   the resources of a ledger
Output: [[beat, milliseconds for which it still counts as alive, [amount of each resource, …], number of open operations,
        number of jails], …]
]]
local answers = {}
for i = 1, #KEYS, 5 do
  table.insert(answers, {
    redis.call('GET', KEYS[i]),
    redis.call('PTTL', KEYS[i + 1]),
    redis.call('HMGET', KEYS[i + 2], unpack(ARGV)),
    redis.call('ZCARD', KEYS[i + 3]),
    redis.call('ZCARD', KEYS[i + 4]),
  })
end
return answers
