--[[
What a host gives a jail: room in its ledger, and addresses of its pools. Admissions and dry runs share it.

A candidate: {host, alive, promised, ask: [[resource, amount, capacity or null], …], wanted: [[choice, …], …]}
  wanted     one address of each list is leased; a choice is {cidr, pool, returned, digest, prefix, address} for a requested
             address, or {cidr, pool, returned, digest, prefix, first, size, excluded: [[from, to], …], base | heads} for any
`given`: what a dry run has given out so far, which is not in Redis: {promised, pools, addresses}, by key and address.
]]

-- How many returned addresses of a pool rest before they are given out again.
local resting = 10000
local returnedAtOnce = 100

-- Returns the text of the address at an offset into a pool. IPv6 pools give out only their last 32 bits.
local function addressAt(choice, offset)
  if choice.base then
    local value = choice.base + offset
    return string.format('%d.%d.%d.%d', math.floor(value / 16777216) % 256, math.floor(value / 65536) % 256,
      math.floor(value / 256) % 256, value % 256)
  end
  local high, low = math.floor(offset / 65536), offset % 65536
  if high == 0 then return choice.heads[1] .. string.format('%x', low) end
  return choice.heads[2] .. string.format('%x:%x', high, low)
end

local function excludedUpTo(choice, offset)
  for _, range in ipairs(choice.excluded) do
    if offset >= range[1] and offset <= range[2] then return range[2] end
  end
end

local function holderOf(leases, address, given)
  return given.addresses[address] or redis.call('HGET', leases, address)
end

-- Returns how far a pool has been given out: the offset of its next new address, and how many returned ones are used again.
local function readPool(choice, given)
  local known = given.pools[choice.pool]
  if known then return { cursor = known.cursor, used = known.used, anew = known.anew } end
  local pool = redis.call('HMGET', choice.pool, 'digest', 'cursor', 'returned')
  local hasLost = redis.call('LLEN', choice.returned) < tonumber(pool[3] or '0')
  -- The definition of the pool has changed, or Redis has lost returned addresses: all of it is considered again.
  if hasLost or pool[1] ~= choice.digest then return { cursor = choice.first, used = 0, anew = true } end
  return { cursor = tonumber(pool[2]), used = 0 }
end

-- Returns the free address that was returned longest ago. Counts all up to it as used.
local function takeReturned(leases, choice, pool, given)
  while true do
    local page = redis.call('LRANGE', choice.returned, pool.used, pool.used + returnedAtOnce - 1)
    for _, address in ipairs(page) do
      pool.used = pool.used + 1
      if not holderOf(leases, address, given) then return address end
    end
    if #page < returnedAtOnce then return nil end
  end
end

-- Returns a free address of a pool, and how far the pool has then been given out. New addresses come first, then returned
-- ones, the oldest first; but returned ones before new ones when there are many, since an IPv6 pool never runs out.
local function takeFree(leases, choice, given)
  local pool = readPool(choice, given)
  if not pool.anew and redis.call('LLEN', choice.returned) - pool.used > resting then
    local address = takeReturned(leases, choice, pool, given)
    if address then return address, pool end
  end
  while pool.cursor < choice.size do
    local excluded = excludedUpTo(choice, pool.cursor)
    if excluded then
      pool.cursor = excluded + 1
    else
      local address = addressAt(choice, pool.cursor)
      pool.cursor = pool.cursor + 1
      if not holderOf(leases, address, given) then return address, pool end
    end
  end
  if pool.anew then return nil, pool end
  return takeReturned(leases, choice, pool, given), pool
end

-- Returns one address of each list, as [[address, prefix, cidr], …], and how far the pools have then been given out, as
-- [[choice, pool], …]; or nil and why not. `keeps`: a jail that moves may keep an address of a pool that both hosts share.
local function takeAddresses(leases, candidate, keeps, given)
  local taken, pools, isTaken = {}, {}, {}
  for _, choices in ipairs(candidate.wanted) do
    local address, pool, from
    for _, choice in ipairs(choices) do
      from = choice
      if choice.address then
        local holder = isTaken[choice.address] or holderOf(leases, choice.address, given)
        if not holder or holder == keeps then address = choice.address end
      else
        address, pool = takeFree(leases, choice, given)
        table.insert(pools, { choice, pool })
      end
      if address then break end
    end
    if not address then
      if from.address then return nil, { 'address_taken', from.address } end
      return nil, { 'no_free_address', from.cidr }
    end
    isTaken[address] = true
    table.insert(taken, { address, from.prefix, from.cidr })
  end
  return taken, pools
end

-- Returns the first resource of which too little is left, how much that is, and how much is needed; nil if there is enough.
local function shortOf(candidate, given)
  local promised = given.promised[candidate.promised] or {}
  for _, each in ipairs(candidate.ask) do
    local resource, amount, capacity = each[1], each[2], each[3]
    local now = tonumber(redis.call('HGET', candidate.promised, resource) or '0') + (promised[resource] or 0)
    if capacity ~= cjson.null and now + amount > capacity then return { resource, capacity - now, amount } end
  end
end

-- Returns what a host would lease to a jail, and how far its pools have then been given out; or nil and why it cannot take
-- the jail, as {code, 'resource left needed' | address | cidr | ''}.
local function give(leases, candidate, keeps, given)
  if redis.call('EXISTS', candidate.alive) == 0 then return nil, { 'no_suitable_host', '' } end
  local short = shortOf(candidate, given)
  if short then return nil, { 'no_capacity', string.format('%s %.0f %.0f', short[1], short[2], short[3]) } end
  return takeAddresses(leases, candidate, keeps, given)
end
