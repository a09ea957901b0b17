import type { OperationStatus } from '#shared/operation.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { OperationRecord } from './records.ts'

type Operation = Pick<OperationRecord, 'id' | 'status' | 'batch'>

/** The commands that move an operation to the list of another status, and count it so in its batch. */
export function changeStatus({ id, status, batch }: Operation, to: OperationStatus, keys: RedisKeys): string[][] {
  if (status === to) return []
  return [
    ['ZREM', keys.operations('status', status), id],
    ['ZADD', keys.operations('status', to), '0', id],
    ...(batch === undefined ? [] : countInBatch(batch, status, to, keys)),
  ]
}

/** The commands that count a row of a batch under another status. What was over is open again once a row is queued. */
export function countInBatch(batch: string, from: OperationStatus, to: OperationStatus, keys: RedisKeys, rows = 1): string[][] {
  return [
    ['HINCRBY', keys.batch(batch), from, String(-rows)],
    ['HINCRBY', keys.batch(batch), to, String(rows)],
    ...(to === 'queued' ? [['ZADD', keys.batches('open'), '0', batch]] : []),
  ]
}
