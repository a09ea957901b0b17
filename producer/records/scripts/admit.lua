--[[
Gives a jail a place: the first host of several that has what it needs. All or nothing.

Input:  KEYS   eventSequence, events, epoch, leases, wakeups
        ARGV   a JSON object:
          idempotency  {key, fingerprint, ttl} or absent
          newName      the jail must not exist yet
          claim        {claims, batches, batch}: where names are claimed, what the keys of batches begin with, and the
                       batch that the jail is of, if any
          unchanged    [[key, revision], …]: the revision each record must have
          binding      a key that is set so that the operation cannot be bound to its old host any more, unless it is
          release      [[address, returned list], …]: leases the jail had before
          moves, move  the moves before and {at, from, reason} of this one, for an operation that moves
          commands     [[name, argument, …], …]: done before the records are written
          jail, operation   {kind, key, member, fields: [name, value, …], indexes: [key, …]}
          name, now, dryRun
          candidates [{host, alive, promised, jails, operations, fields, capacity, ask, wanted}]
            capacity, ask   {jails, memory, cpu, disk}
            jails, operations   the indexes of the host
            wanted   [[choice, …], …]: of each list one address is leased; a choice is
              {cidr, pool, returned, digest, prefix, address}  one asked address, or
              {cidr, pool, returned, digest, prefix, first, size, excluded: [[from, to], …], base | heads}  any free one
Output: {'replayed', operation} | {'reused'} | {'taken', operation} | {'claimed', batch} | {'changed'} | {'bound'}
        | {'refused', JSON [[host, code, detail], …]}
        | {'admitted', host, JSON leases [[address, prefix, cidr], …], epoch, jail revision, operation revision}
        | {'tried', JSON [[host, code or '', detail or '', addresses], …]}: of a dry run, which changes nothing
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
if input.newName then
  local holder = redis.call('HGET', input.jail.key, 'lastOperation')
  if holder then return { 'taken', holder } end
  local claimer = redis.call('HGET', input.claim.claims, input.name)
  if claimer and claimer ~= input.claim.batch and redis.call('EXISTS', input.claim.batches .. claimer) == 1 then
    return { 'claimed', claimer }
  end
end
for _, record in ipairs(input.unchanged) do
  if redis.call('HGET', record[1], 'revision') ~= record[2] then return { 'changed' } end
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
local returnedAtOnce = 100

local function isFree(address)
  return redis.call('HEXISTS', leasesKey, address) == 0
end

-- The address given back longest ago that is free, and how many stand up to it.
local function findReturned(choice)
  local from = 0
  while true do
    local page = redis.call('LRANGE', choice.returned, from, from + returnedAtOnce - 1)
    for i, address in ipairs(page) do
      if isFree(address) then return address, from + i end
    end
    from = from + #page
    if #page < returnedAtOnce then return nil, from end
  end
end

-- A free address of a pool: the next one never given out, then those given back, the oldest first; or these at once, when
-- there are many: a pool of IPv6 never comes to its end. Gives it with what taking it does to the pool.
local function findFree(choice)
  local pool = redis.call('HMGET', choice.pool, 'digest', 'cursor')
  local effect = { cursor = tonumber(pool[2] or choice.first), dropped = 0 }
  if pool[1] ~= choice.digest then
    -- The pool was defined anew: what was skipped or given back under the old definition is looked at again.
    effect.cursor = choice.first
    effect.anew = true
  elseif redis.call('LLEN', choice.returned) > resting then
    local address, dropped = findReturned(choice)
    effect.dropped = dropped
    if address then return address, effect end
  end
  while effect.cursor < choice.size do
    local excluded = excludedUpTo(choice, effect.cursor)
    if excluded then
      effect.cursor = excluded + 1
    else
      local address = addressAt(choice, effect.cursor)
      effect.cursor = effect.cursor + 1
      if isFree(address) then return address, effect end
    end
  end
  if effect.anew then return nil, effect end
  local address, dropped = findReturned(choice)
  effect.dropped = dropped
  return address, effect
end

local function findAsked(choice, taken)
  local holder = redis.call('HGET', leasesKey, choice.address)
  -- A jail that moves may keep an address of a pool that both hosts share.
  if taken[choice.address] or (holder and (input.newName or holder ~= input.name)) then return nil end
  return choice.address
end

-- One address of each list, with what taking them does to their pools; or why not.
local function findAll(candidate)
  local leases, effects, taken = {}, {}, {}
  for _, choices in ipairs(candidate.wanted) do
    local address, effect, from
    for _, choice in ipairs(choices) do
      from = choice
      if choice.address then address = findAsked(choice, taken) else address, effect = findFree(choice) end
      if effect then table.insert(effects, { choice, effect }) end
      if address then break end
    end
    if not address then
      if from.address then return nil, 'address_taken', 'has leased ' .. from.address .. ' to another jail' end
      return nil, 'no_free_address', 'has no free address in pool ' .. from.cidr
    end
    taken[address] = true
    table.insert(leases, { address, from.prefix, from.cidr })
  end
  return leases, effects, taken
end

local function takeAll(leases, effects)
  for _, change in ipairs(effects) do
    local choice, effect = change[1], change[2]
    redis.call('HSET', choice.pool, 'digest', choice.digest, 'cursor', string.format('%.0f', effect.cursor))
    if effect.anew then redis.call('DEL', choice.returned) end
    if effect.dropped > 0 then redis.call('LTRIM', choice.returned, effect.dropped, -1) end
  end
  for _, lease in ipairs(leases) do redis.call('HSET', leasesKey, lease[1], input.name) end
end

-- What the jail had before it moves, but for what it keeps.
local function releaseOld(kept)
  for _, lease in ipairs(input.release) do
    if not kept[lease[1]] and redis.call('HGET', leasesKey, lease[1]) == input.name then
      redis.call('HDEL', leasesKey, lease[1])
      redis.call('LREM', lease[2], 1, lease[1])
      redis.call('RPUSH', lease[2], lease[1])
    end
  end
end

local function shortOf(candidate)
  for _, resource in ipairs({ 'jails', 'memory', 'cpu', 'disk' }) do
    local capacity, ask = candidate.capacity[resource], candidate.ask[resource]
    if capacity and ask then
      local promised = tonumber(redis.call('HGET', candidate.promised, resource) or '0')
      if promised + ask > capacity then return resource end
    end
  end
end

-- The leases that a host would give, with their effects; or why it cannot take the jail.
local function consider(candidate)
  if redis.call('EXISTS', candidate.alive) == 0 then return nil, 'no_suitable_host', 'is down' end
  local short = shortOf(candidate)
  if short then return nil, 'no_capacity', 'has not enough ' .. short .. ' left to promise' end
  return findAll(candidate)
end

local function writeRecord(record, candidate, epoch)
  local revision = redis.call('INCR', eventSequence)
  redis.call('HSET', record.key, 'host', candidate.host, 'epoch', epoch, 'revision', revision, unpack(record.fields))
  for _, index in ipairs(record.indexes) do redis.call('ZADD', index, 0, record.member) end
  redis.call('XADD', events, 'MAXLEN', '~', 100000, revision .. '-0', 'kind', record.kind, 'id', record.member)
  return revision
end

local function place(candidate, leases, effects, taken)
  takeAll(leases, effects)
  releaseOld(taken)
  if input.newName then redis.call('HDEL', input.claim.claims, input.name) end
  for resource, amount in pairs(candidate.ask) do
    redis.call('HINCRBY', candidate.promised, resource, string.format('%.0f', amount))
  end
  for _, command in ipairs(input.commands) do redis.call(unpack(command)) end
  local epoch = redis.call('INCR', epochKey)
  local leasesJson = cjson.encode(leases)
  local jailRevision = writeRecord(input.jail, candidate, epoch)
  local operationRevision = writeRecord(input.operation, candidate, epoch)
  redis.call('HSET', input.jail.key, 'leases', leasesJson, unpack(candidate.fields))
  if input.move then
    input.move.to, input.move.epoch = candidate.host, epoch
    table.insert(input.moves, input.move)
    redis.call('HSET', input.operation.key, 'moves', cjson.encode(input.moves))
  end
  redis.call('ZADD', candidate.jails, 0, input.name)
  redis.call('ZADD', candidate.operations, 0, input.operation.member)
  redis.call('ZADD', wakeups, input.now, input.operation.member)
  if idempotency then
    redis.call('HSET', idempotency.key, 'fingerprint', idempotency.fingerprint, 'operation', input.operation.member)
    redis.call('EXPIRE', idempotency.key, idempotency.ttl)
  end
  return { 'admitted', candidate.host, leasesJson, epoch, jailRevision, operationRevision }
end

local answers = {}
for _, candidate in ipairs(input.candidates) do
  local leases, second, third = consider(candidate)
  if input.dryRun then
    table.insert(answers, leases and { candidate.host, '', '', leases } or { candidate.host, second, third })
  elseif not leases then
    table.insert(answers, { candidate.host, second, third })
  else
    if input.binding then
      local before = redis.call('GET', input.binding)
      if before and before ~= 'moved' then return { 'bound' } end
      -- For as long as an ended operation is kept: its old host's job may come late.
    redis.call('SET', input.binding, 'moved', 'EX', 2678400)
    end
    return place(candidate, leases, second, third)
  end
end
return { input.dryRun and 'tried' or 'refused', #answers == 0 and '[]' or cjson.encode(answers) }
