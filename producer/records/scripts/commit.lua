--[[
Changes records, if they still are as whoever decided the change has read them: all or nothing.

Input:  KEYS   eventSequence, events, leases
        ARGV   a JSON object:
          idempotency  {key, fingerprint, ttl, operation} or absent
          unchanged    [[key, revision or ''], …]: the revision each record must have; '' for none
          alive        a key that must not be there: a host must still be down
          member       [set, member]: what must still be in a set
          claim        [[address, jail, holder], …]: leases to take, which must be free or that holder's
          hold         [[address, jail, holder], …]: leases of the jail that pass to that holder
          unhold       {held, holder, addresses}: leases of a forgotten host to give back, as its hash `held` says where
          release      [[address, returned list, holder], …]: leases to give back, if the holder has them
          commands     [[name, argument, …], …]
          events       [[kind, id, key], …]: records that changed; `key` may be gone
Output: {'replayed', operation} | {'reused'} | {'changed'} | {'leased', address, holder}
        | {'done', revision, …}: one for each event
Events: those named, in `events`.
]]
local change = cjson.decode(ARGV[1])
local eventSequence, events, leases = KEYS[1], KEYS[2], KEYS[3]

local idempotency = change.idempotency
if idempotency then
  local known = redis.call('HMGET', idempotency.key, 'fingerprint', 'operation')
  if known[1] then
    if known[1] == idempotency.fingerprint then return { 'replayed', known[2] } end
    return { 'reused' }
  end
end
for _, record in ipairs(change.unchanged) do
  if (redis.call('HGET', record[1], 'revision') or '') ~= record[2] then return { 'changed' } end
end

if change.alive and redis.call('EXISTS', change.alive) == 1 then return { 'changed' } end
if change.member and redis.call('SISMEMBER', change.member[1], change.member[2]) == 0 then return { 'changed' } end

for _, lease in ipairs(change.claim) do
  local holder = redis.call('HGET', leases, lease[1])
  if holder and holder ~= lease[2] and holder ~= lease[3] then return { 'leased', lease[1], holder } end
end

for _, lease in ipairs(change.claim) do redis.call('HSET', leases, lease[1], lease[2]) end
for _, lease in ipairs(change.hold) do
  if redis.call('HGET', leases, lease[1]) == lease[2] then redis.call('HSET', leases, lease[1], lease[3]) end
end
if change.unhold then
  for _, address in ipairs(change.unhold.addresses) do
    local returned = redis.call('HGET', change.unhold.held, address)
    if returned and redis.call('HGET', leases, address) == change.unhold.holder then
      redis.call('HDEL', leases, address)
      redis.call('RPUSH', returned, address)
    end
    redis.call('HDEL', change.unhold.held, address)
  end
end
for _, lease in ipairs(change.release) do
  if redis.call('HGET', leases, lease[1]) == lease[3] then
    redis.call('HDEL', leases, lease[1])
    -- One that was asked for may stand there from before.
    redis.call('LREM', lease[2], 1, lease[1])
    redis.call('RPUSH', lease[2], lease[1])
  end
end
for _, command in ipairs(change.commands) do redis.call(unpack(command)) end
if idempotency then
  redis.call('HSET', idempotency.key, 'fingerprint', idempotency.fingerprint, 'operation', idempotency.operation)
  redis.call('EXPIRE', idempotency.key, idempotency.ttl)
end
local answer = { 'done' }
for _, event in ipairs(change.events) do
  local revision = redis.call('INCR', eventSequence)
  if event[3] ~= '' and redis.call('EXISTS', event[3]) == 1 then redis.call('HSET', event[3], 'revision', revision) end
  redis.call('XADD', events, 'MAXLEN', '~', 100000, revision .. '-0', 'kind', event[1], 'id', event[2])
  table.insert(answer, revision)
end
return answer
