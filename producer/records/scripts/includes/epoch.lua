-- Whether Redis has lost epochs: it has a lower one than it had, or none though there are jails.
local function hasLostEpoch(epochKey, jailsKey, seen)
  local epoch = redis.call('GET', epochKey)
  if not epoch and redis.call('EXISTS', jailsKey) == 1 then return true end
  return tonumber(epoch or '0') < seen
end
