--[[
Places a jail on the first of several hosts that has what it needs. All or nothing.

Input:  KEYS   eventSequence, events, leases, epoch, fleet, jails
        ARGV   a change (includes/change.lua) as JSON, with
          name, jailKey, operationKey   the jail, and the keys of its record and its provision's
          seenEpoch    an epoch that Redis has had: with a lower one it is older than it was
          newName      {claims, batches, batch}, if the jail must not exist yet: where names are claimed, the prefix of the
                       keys of batches, and the batch that the jail belongs to, if any
          binding      the key that binds the operation to its old host; it is set so that this can no longer happen, unless
                       it has happened
          release      [[address, returned list, holder], …]: leases to release, if the holder has them and does not keep them
          moves, move  the moves before and {at, from, reason} of this one, for an operation that moves
          candidates   [candidate, …] (includes/give.lua), each with the commands that write that host into the records
Output: {'replayed', operation} | {'reused'} | {'changed'} | {'taken', operation} | {'claimed', batch} | {'bound'}
        | {'refused', JSON [[host, code, what], …]}
        | {'done', host, JSON leases [[address, prefix, cidr], …], epoch, revision, …}: a revision for each event
Events: those in `events`.
]]
--- @include "epoch"
--- @include "change"
--- @include "give"

local input = cjson.decode(ARGV[1])
local leases, epochKey = KEYS[3], KEYS[4]

local answer = answeredBefore(input.idempotency)
if answer then return answer end
if input.newName then
  local holder = redis.call('HGET', input.jailKey, 'lastOperation')
  if holder then return { 'taken', holder } end
  local claimer = redis.call('HGET', input.newName.claims, input.name)
  if claimer and claimer ~= input.newName.batch and redis.call('EXISTS', input.newName.batches .. claimer) == 1 then
    return { 'claimed', claimer }
  end
end
if hasChanged(input.unchanged) or hasLostLeases(leases) then return { 'changed' } end
if hasLostEpoch(epochKey, KEYS[6], input.seenEpoch or 0) then return { 'changed' } end

local function takeAll(taken, pools)
  for _, each in ipairs(pools) do
    local choice, pool = each[1], each[2]
    redis.call('HSET', choice.pool, 'digest', choice.digest, 'cursor', string.format('%.0f', pool.cursor))
    if pool.anew then
      redis.call('DEL', choice.returned)
      redis.call('HSET', choice.pool, 'returned', 0)
    end
    if pool.used > 0 then
      redis.call('LTRIM', choice.returned, pool.used, -1)
      countReturned(choice.returned, -pool.used)
    end
  end
  local kept = {}
  for _, each in ipairs(taken) do
    lease(leases, each[1], input.name)
    kept[each[1]] = true
  end
  for _, each in ipairs(input.release) do
    if not kept[each[1]] then release(leases, each[1], each[2], each[3]) end
  end
end

local function place(candidate, taken, pools)
  takeAll(taken, pools)
  if input.newName then redis.call('HDEL', input.newName.claims, input.name) end
  local epoch = redis.call('INCR', epochKey)
  local leasesText = #taken == 0 and '[]' or cjson.encode(taken)
  local revisions = apply(input, KEYS[5])
  for _, command in ipairs(candidate.commands) do redis.call(unpack(command)) end
  redis.call('HSET', input.jailKey, 'epoch', epoch, 'leases', leasesText)
  redis.call('HSET', input.operationKey, 'epoch', epoch)
  if input.move then
    input.move.to, input.move.epoch = candidate.host, epoch
    table.insert(input.moves, input.move)
    redis.call('HSET', input.operationKey, 'moves', cjson.encode(input.moves))
  end
  return { 'done', candidate.host, leasesText, epoch, unpack(revisions) }
end

local refusals = {}
for _, candidate in ipairs(input.candidates) do
  local taken, second = give(leases, candidate, not input.newName and input.name, { promised = {}, pools = {}, addresses = {} })
  if not taken then
    table.insert(refusals, { candidate.host, second[1], second[2] })
  else
    if input.binding then
      local before = redis.call('GET', input.binding)
      if before and before ~= 'moved' then return { 'bound' } end
      -- Kept as long as an ended operation: the job on its old host may be taken late.
      redis.call('SET', input.binding, 'moved', 'EX', 2678400)
    end
    return place(candidate, taken, second)
  end
end
return { 'refused', #refusals == 0 and '[]' or cjson.encode(refusals) }
