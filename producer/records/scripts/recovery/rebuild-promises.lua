--[[
Makes the ledger of a host anew from the records of its jails.

Input:  KEYS   its ledger, the list of its jails
        ARGV   the prefix of the keys of jails
]]
local function amount(value, factor)
  return type(value) == 'number' and value * factor or 0
end

local names = redis.call('ZRANGE', KEYS[2], 0, -1)
local memory, cpu, disk = 0, 0, 0
for _, name in ipairs(names) do
  local text = redis.call('HGET', ARGV[1] .. name, 'limits')
  local limits = text and cjson.decode(text) or {}
  memory = memory + amount(limits.memory, 1)
  cpu = cpu + math.floor(amount(limits.cpu, 1000) + 0.5)
  disk = disk + amount(limits.disk, 1)
end
redis.call('DEL', KEYS[1])
if #names == 0 then return end
local format = function(value) return string.format('%.0f', value) end
redis.call('HSET', KEYS[1], 'jails', #names, 'memory', format(memory), 'cpu', format(cpu))
if disk > 0 then redis.call('HSET', KEYS[1], 'disk', format(disk)) end
