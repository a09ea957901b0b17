import type { OperationStatus } from '#shared/operation.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { enter, leave } from '../lists.ts'

/** Returns the key of a list of batches, ordered by time: all of them, or those that have not ended. */
export function batchList(of: 'all' | 'open', keys: RedisKeys): string {
  return of === 'all' ? keys.batches() : keys.batches('open')
}

/** Returns the commands that enter a new batch into its lists. */
export const enterBatchLists = (id: string, keys: RedisKeys) => enter([keys.batches(), keys.batches('open')], id)
/** Return the commands that put a batch among those that have not ended, and take it out. */
export const openBatch = (id: string, keys: RedisKeys) => enter([keys.batches('open')], id)
export const closeBatch = (id: string, keys: RedisKeys) => leave([keys.batches('open')], id)

/** Returns the commands that count rows of a batch under another status. A queued row reopens a batch that has ended. */
export function countInBatch(batch: string, from: OperationStatus, to: OperationStatus, keys: RedisKeys, rows = 1): string[][] {
  return [
    ['HINCRBY', keys.batch(batch), from, String(-rows)],
    ['HINCRBY', keys.batch(batch), to, String(rows)],
    ...(to === 'queued' ? openBatch(batch, keys) : []),
  ]
}
