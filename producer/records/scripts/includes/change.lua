--[[
The first and the last part of every script that changes records. A change is all or nothing, so all checks come first.

A change: {idempotency: {key, fingerprint, ttl, operation} or absent, unchanged: [[key, field, value or null], …],
           commands: [[name, argument, …], …], events: [[kind, id, key], …]}
]]

-- Returns what was answered before under the request's key, if anything: {'replayed', operation} | {'reused'}.
local function answeredBefore(idempotency)
  if not idempotency then return nil end
  local known = redis.call('HMGET', idempotency.key, 'fingerprint', 'operation')
  if not known[1] then return nil end
  if known[1] == idempotency.fingerprint then return { 'replayed', known[2] } end
  return { 'reused' }
end

-- Returns whether a field differs from what was read when the change was decided. Null stands for a missing field.
local function hasChanged(unchanged)
  for _, check in ipairs(unchanged) do
    local expected = check[3]
    if expected == cjson.null then expected = false end
    if redis.call('HGET', check[1], check[2]) ~= expected then return true end
  end
  return false
end

-- Runs the commands of a change and adds its events, which bear the id of the fleet. Returns a revision for each event.
local function apply(change, fleetKey)
  for _, command in ipairs(change.commands) do redis.call(unpack(command)) end
  local idempotency = change.idempotency
  if idempotency then
    redis.call('HSET', idempotency.key, 'fingerprint', idempotency.fingerprint, 'operation', idempotency.operation)
    redis.call('EXPIRE', idempotency.key, idempotency.ttl)
  end
  local revisions = {}
  local fleet = #change.events > 0 and redis.call('HGET', fleetKey, 'id') or ''
  for _, event in ipairs(change.events) do
    local revision = redis.call('INCR', KEYS[1])
    if event[3] ~= '' and redis.call('EXISTS', event[3]) == 1 then redis.call('HSET', event[3], 'revision', revision) end
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', 100000, revision .. '-0', 'kind', event[1], 'id', event[2], 'fleet', fleet)
    table.insert(revisions, revision)
  end
  return revisions
end

-- Counts a change of the leases beside them, so that a Redis that lost some of them is noticed. A count that was lost is set by
-- `count-leases` alone, once the leases are whole.
local function countLease(leases, by)
  local count = leases .. ':count'
  if redis.call('EXISTS', count) == 1 then redis.call('INCRBY', count, by) end
end

-- Gives an address to a holder.
local function lease(leases, address, holder)
  if redis.call('HSET', leases, address, holder) == 1 then countLease(leases, 1) end
end

-- Whether leases were lost: what is in none must not be given out as free.
local function hasLostLeases(leases)
  local count = redis.call('GET', leases .. ':count')
  return not count or redis.call('HLEN', leases) < tonumber(count)
end

-- Counts a change of the list of a pool's returned addresses in the pool, so that a list that was lost is noticed.
local function countReturned(returned, by)
  local pool = string.sub(returned, 1, -#':returned' - 1)
  if redis.call('HEXISTS', pool, 'returned') == 1 then
    redis.call('HINCRBY', pool, 'returned', by)
  elseif redis.call('EXISTS', pool) == 1 then
    redis.call('HSET', pool, 'returned', redis.call('LLEN', returned))
  end
end

-- Puts an address back into its pool, if that holder has it.
local function release(leases, address, returned, holder)
  if redis.call('HGET', leases, address) ~= holder then return end
  if redis.call('HDEL', leases, address) == 1 then countLease(leases, -1) end
  -- An address that was leased because it was asked for may still be in the list.
  local removed = redis.call('LREM', returned, 1, address)
  redis.call('RPUSH', returned, address)
  countReturned(returned, 1 - removed)
end
