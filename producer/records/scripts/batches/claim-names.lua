--[[
Claims names for a batch that is being accepted, where possible; in a dry run only checks whether it could.

A claim counts once its batch has a record. The claim of a batch without one may be taken over. If that batch is still being
accepted, it has lost: its mark is removed, so that of two batches with a name in common only one gets its record.

Input:  KEYS   claims, the batch's mark
        ARGV   a JSON object:
          batch, names, dryRun
          jails, batches, marks   the prefixes of the keys of jails, batches and marks
Output: {'lost'}: another batch has taken over a name meanwhile
        | {'done', [name, …] of jails that exist, [[name, batch], …] that another batch has claimed}
]]
local claims, mark = KEYS[1], KEYS[2]
local input = cjson.decode(ARGV[1])

if not input.dryRun and redis.call('EXISTS', mark) == 0 then return { 'lost' } end

local jails, claimed = {}, {}
for _, name in ipairs(input.names) do
  local holder = redis.call('HGET', claims, name)
  if redis.call('EXISTS', input.jails .. name) == 1 then
    table.insert(jails, name)
  elseif holder and holder ~= input.batch and redis.call('EXISTS', input.batches .. holder) == 1 then
    table.insert(claimed, { name, holder })
  elseif not input.dryRun then
    if holder and holder ~= input.batch then redis.call('DEL', input.marks .. holder) end
    redis.call('HSET', claims, name, input.batch)
  end
end
return { 'done', jails, claimed }
