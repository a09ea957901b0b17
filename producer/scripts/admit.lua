--[[
Admits a jail: all or nothing.

Input:  KEYS   eventSequence, events, epoch, leases, wakeups
        ARGV   a JSON object:
          idempotency  {key, fingerprint, ttl} or absent
          jail, operation   {key, fields: [name, value, …], indexes: [key, …], index member}
          operationUnchanged   the revision the operation must have, for one that is admitted again
          drop   {key, index}: where such a one stands until then
          name, now
          candidates [{host, alive, promised, promisedIndex, fields, capacity, ask, wanted}]
            capacity, ask   {jails, memory, cpu, disk}
            wanted   [[choice, …], …]: of each list one address is leased; a choice is
              {cidr, pool, returned, digest, prefix, address}  one asked address, or
              {cidr, pool, returned, digest, prefix, first, size, excluded: [[from, to], …], base | heads}  any free one
Output: {'replayed', operation} | {'reused'} | {'taken', operation} | {'changed'}
        | {'refused', JSON [[host, code, detail], …]}
        | {'admitted', host, JSON leases [[address, prefix, cidr], …], epoch, jail revision, operation revision}
Events: jail and operation, in `events`.
]]
local input = cjson.decode(ARGV[1])
local eventSequence, events, epochKey, leasesKey, wakeups = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local idempotency = input.idempotency
if idempotency then
  local known = redis.call('HMGET', idempotency.key, 'fingerprint', 'operation')
  if known[1] then
    if known[1] == idempotency.fingerprint then return { 'replayed', known[2] } end
    return { 'reused' }
  end
end
local holder = redis.call('HGET', input.jail.key, 'lastOperation')
if holder then return { 'taken', holder } end
if input.operationUnchanged and redis.call('HGET', input.operation.key, 'revision') ~= input.operationUnchanged then
  return { 'changed' }
end

-- The text of the address that is `offset` into a pool. IPv6 pools give out their last 32 bits.
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

-- How many addresses of a pool may have been given back before they are given out again.
local resting = 10000

-- The address given back longest ago that is free.
local function takeReturned(choice, taken)
  while true do
    local address = redis.call('LPOP', choice.returned)
    if not address then return end
    if not taken[address] and redis.call('HEXISTS', leasesKey, address) == 0 then return address end
  end
end

-- A free address of a pool: the next one never given out, then those given back, the oldest first; or these at once, when
-- there are many: a pool of IPv6 never comes to its end.
local function takeFree(choice, taken)
  local pool = redis.call('HMGET', choice.pool, 'digest', 'cursor')
  local cursor = tonumber(pool[2] or choice.first)
  if pool[1] ~= choice.digest then
    -- The pool was defined anew: what was skipped or given back under the old definition is looked at again.
    cursor = choice.first
    redis.call('DEL', choice.returned)
  end
  local found
  if redis.call('LLEN', choice.returned) > resting then found = takeReturned(choice, taken) end
  while not found and cursor < choice.size do
    local excluded = excludedUpTo(choice, cursor)
    if excluded then
      cursor = excluded + 1
    else
      local address = addressAt(choice, cursor)
      cursor = cursor + 1
      if not taken[address] and redis.call('HEXISTS', leasesKey, address) == 0 then found = address end
    end
  end
  redis.call('HSET', choice.pool, 'digest', choice.digest, 'cursor', string.format('%.0f', cursor))
  return found or takeReturned(choice, taken)
end

-- One address of each list, or why not. What is taken is leased at once; a refusal gives it back.
local function leaseAll(candidate)
  local leases, taken, asked = {}, {}, {}
  local function giveBack()
    for _, lease in ipairs(leases) do
      redis.call('HDEL', leasesKey, lease[1])
      -- An asked one was not taken from among the free ones, so it still is where it was.
      if not asked[lease[1]] then redis.call('RPUSH', lease[4], lease[1]) end
    end
  end
  for _, choices in ipairs(candidate.wanted) do
    local address, from
    for _, choice in ipairs(choices) do
      if choice.address then
        if not taken[choice.address] and redis.call('HEXISTS', leasesKey, choice.address) == 0 then address = choice.address end
        asked[choice.address] = true
      else
        address = takeFree(choice, taken)
      end
      from = choice
      if address then break end
    end
    if not address then
      giveBack()
      if from.address then return nil, 'address_taken', 'has leased ' .. from.address .. ' to another jail' end
      return nil, 'no_free_address', 'has no free address in pool ' .. from.cidr
    end
    taken[address] = true
    redis.call('HSET', leasesKey, address, input.name)
    table.insert(leases, { address, from.prefix, from.cidr, from.returned })
  end
  return leases
end

local function capacityLeft(candidate)
  for _, resource in ipairs({ 'jails', 'memory', 'cpu', 'disk' }) do
    local capacity, ask = candidate.capacity[resource], candidate.ask[resource]
    if capacity and ask then
      local promised = tonumber(redis.call('HGET', candidate.promised, resource) or '0')
      if promised + ask > capacity then return resource end
    end
  end
end

local refusals = {}
for _, candidate in ipairs(input.candidates) do
  local short = capacityLeft(candidate)
  if redis.call('EXISTS', candidate.alive) == 0 then
    table.insert(refusals, { candidate.host, 'no_suitable_host', 'is down' })
  elseif short then
    table.insert(refusals, { candidate.host, 'no_capacity', 'has not enough ' .. short .. ' left to promise' })
  else
    local leases, code, detail = leaseAll(candidate)
    if not leases then
      table.insert(refusals, { candidate.host, code, detail })
    else
      for resource, amount in pairs(candidate.ask) do
        redis.call('HINCRBY', candidate.promised, resource, string.format('%.0f', amount))
      end
      local epoch = redis.call('INCR', epochKey)
      local leasesJson = cjson.encode(leases)
      if input.drop then
        redis.call('DEL', input.drop.key)
        redis.call('ZREM', input.drop.index, input.operation.member)
      end
      local revisions = {}
      for _, record in ipairs({ input.jail, input.operation }) do
        local revision = redis.call('INCR', eventSequence)
        redis.call('HSET', record.key, unpack(record.fields))
        redis.call('HSET', record.key, 'host', candidate.host, 'epoch', epoch, 'revision', revision)
        for _, index in ipairs(record.indexes) do redis.call('ZADD', index, 0, record.member) end
        redis.call('XADD', events, 'MAXLEN', '~', 100000, revision .. '-0', 'kind', record.kind, 'id', record.member)
        table.insert(revisions, revision)
      end
      redis.call('HSET', input.jail.key, 'leases', leasesJson, unpack(candidate.fields))
      redis.call('ZADD', candidate.hostIndex, 0, input.name)
      redis.call('ZADD', wakeups, input.now, input.operation.member)
      if idempotency then
        redis.call('HSET', idempotency.key, 'fingerprint', idempotency.fingerprint, 'operation', input.operation.member)
        redis.call('EXPIRE', idempotency.key, idempotency.ttl)
      end
      return { 'admitted', candidate.host, leasesJson, epoch, revisions[1], revisions[2] }
    end
  end
end
if #refusals == 0 then return { 'refused', '[]' } end
return { 'refused', cjson.encode(refusals) }
