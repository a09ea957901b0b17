import type { OperationStatus } from '#shared/operation.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { enter, leave } from '../lists.ts'

/** A list of batches, by time: all, or those that have not ended. */
export function batchList(of: 'all' | 'open', keys: RedisKeys): string {
  return of === 'all' ? keys.batches() : keys.batches('open')
}

/** The commands for a batch that is new. */
export const enterBatchLists = (id: string, keys: RedisKeys) => enter([keys.batches(), keys.batches('open')], id)
/** The commands for one that is looked after from now on, and for one that has ended. */
export const openBatch = (id: string, keys: RedisKeys) => enter([keys.batches('open')], id)
export const closeBatch = (id: string, keys: RedisKeys) => leave([keys.batches('open')], id)

/** The commands that count rows of a batch under another status. What was over is open again once a row is queued. */
export function countInBatch(batch: string, from: OperationStatus, to: OperationStatus, keys: RedisKeys, rows = 1): string[][] {
  return [
    ['HINCRBY', keys.batch(batch), from, String(-rows)],
    ['HINCRBY', keys.batch(batch), to, String(rows)],
    ...(to === 'queued' ? openBatch(batch, keys) : []),
  ]
}
