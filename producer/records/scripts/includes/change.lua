--[[
What every script that changes records does first and last. A change is all or nothing, so all checks come first.

A change: {idempotency: {key, fingerprint, ttl, operation} or absent, unchanged: [[key, field, value or null], …], commands: [[name, argument, …], …],
           events: [[kind, id, key], …]}
]]

-- What was answered before under the request's key, if anything: {'replayed', operation} | {'reused'}.
local function answeredBefore(idempotency)
  if not idempotency then return nil end
  local known = redis.call('HMGET', idempotency.key, 'fingerprint', 'operation')
  if not known[1] then return nil end
  if known[1] == idempotency.fingerprint then return { 'replayed', known[2] } end
  return { 'reused' }
end

-- Whether a field is otherwise than whoever decided the change has read it. Null stands for a field that is not there.
local function hasChanged(unchanged)
  for _, check in ipairs(unchanged) do
    local expected = check[3]
    if expected == cjson.null then expected = false end
    if redis.call('HGET', check[1], check[2]) ~= expected then return true end
  end
  return false
end

-- Does what a change says and tells of it. Returns a revision for each event.
local function apply(change)
  for _, command in ipairs(change.commands) do redis.call(unpack(command)) end
  local idempotency = change.idempotency
  if idempotency then
    redis.call('HSET', idempotency.key, 'fingerprint', idempotency.fingerprint, 'operation', idempotency.operation)
    redis.call('EXPIRE', idempotency.key, idempotency.ttl)
  end
  local revisions = {}
  for _, event in ipairs(change.events) do
    local revision = redis.call('INCR', KEYS[1])
    if event[3] ~= '' and redis.call('EXISTS', event[3]) == 1 then redis.call('HSET', event[3], 'revision', revision) end
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', 100000, revision .. '-0', 'kind', event[1], 'id', event[2])
    table.insert(revisions, revision)
  end
  return revisions
end

-- Gives an address back to its pool, if that holder has it.
local function release(leases, address, returned, holder)
  if redis.call('HGET', leases, address) ~= holder then return end
  redis.call('HDEL', leases, address)
  -- One that was asked for may stand there from before.
  redis.call('LREM', returned, 1, address)
  redis.call('RPUSH', returned, address)
end
