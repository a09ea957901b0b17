--[[
Returns where jails would go if they were requested now, one after another. Changes nothing.

Input:  KEYS   leases
        ARGV   a JSON object:
          rows   [[candidate, …], …]: for each jail, the hosts that could take it (includes/give.lua)
          each   whether all candidates are tried, each as if nothing had been given before; otherwise a jail goes to the
                 first that takes it, which has that much less for the jails after it
          given  {promised, pools}: what was given to earlier jails
Output: {[[{host, code or '', what, leases}, …], …], JSON given}: for each jail, the answers of its hosts, in the order tried
]]
--- @include "give"

local input = cjson.decode(ARGV[1])
local leases = KEYS[1]
local given = { promised = input.given.promised, pools = input.given.pools, addresses = {} }

local function count(candidate, taken, pools)
  local promised = given.promised[candidate.promised] or {}
  given.promised[candidate.promised] = promised
  for _, each in ipairs(candidate.ask) do promised[each[1]] = (promised[each[1]] or 0) + each[2] end
  for _, each in ipairs(pools) do given.pools[each[1].pool] = each[2] end
  for _, lease in ipairs(taken) do given.addresses[lease[1]] = 'a jail before' end
end

local answers = {}
for _, candidates in ipairs(input.rows) do
  local asked = {}
  for _, candidate in ipairs(candidates) do
    local taken, second = give(leases, candidate, nil, given)
    table.insert(asked, taken and { candidate.host, '', '', taken } or { candidate.host, second[1], second[2] })
    if taken and not input.each then
      count(candidate, taken, second)
      break
    end
  end
  table.insert(answers, asked)
end
return { answers, cjson.encode({ promised = given.promised, pools = given.pools }) }
