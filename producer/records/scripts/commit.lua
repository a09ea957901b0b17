--[[
Changes records if they are still as they were read when the change was decided. All or nothing.

Input:  KEYS   eventSequence, events, leases, fleet
        ARGV   a change (includes/change.lua) as JSON, with
          alive        a key that must not exist: a host must still be down
          member       [set, member]: a member that must still be in a set
          lease        [[address, jail, holder], …]: leases to take, which must be free or belong to that holder
          hold         [[address, jail, holder], …]: leases of the jail that pass to that holder
          unhold       {held, holder, addresses}: held addresses to release, each to the list that the hash `held` has for it
          release      [[address, returned list, holder], …]: leases to release, if the holder has them
Output: {'replayed', operation} | {'reused'} | {'changed'} | {'leased', address, holder}
        | {'done', revision, …}: one for each event
Events: those in `events`.
]]
--- @include "change"

local change = cjson.decode(ARGV[1])
local leases = KEYS[3]

local answer = answeredBefore(change.idempotency)
if answer then return answer end
if hasChanged(change.unchanged) then return { 'changed' } end
if change.alive and redis.call('EXISTS', change.alive) == 1 then return { 'changed' } end
if change.member and redis.call('SISMEMBER', change.member[1], change.member[2]) == 0 then return { 'changed' } end
for _, each in ipairs(change.lease) do
  local holder = redis.call('HGET', leases, each[1])
  if holder and holder ~= each[2] and holder ~= each[3] then return { 'leased', each[1], holder } end
end

for _, each in ipairs(change.lease) do lease(leases, each[1], each[2]) end
for _, each in ipairs(change.hold) do
  if redis.call('HGET', leases, each[1]) == each[2] then redis.call('HSET', leases, each[1], each[3]) end
end
if change.unhold then
  for _, address in ipairs(change.unhold.addresses) do
    local returned = redis.call('HGET', change.unhold.held, address)
    if returned then release(leases, address, returned, change.unhold.holder) end
    redis.call('HDEL', change.unhold.held, address)
  end
end
for _, each in ipairs(change.release) do release(leases, each[1], each[2], each[3]) end
return { 'done', unpack(apply(change, KEYS[4])) }
