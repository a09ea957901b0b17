--[[
Removes the rows of a batch that was not accepted.

Input:  KEYS   the batch, its rows, its mark
Output: 1, or 0 if it has a record and so was accepted after all
]]
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('UNLINK', KEYS[2], KEYS[3])
return 1
