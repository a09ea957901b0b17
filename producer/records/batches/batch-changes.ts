import type { RedisKeys } from '#shared/redis/keys.ts'
import type { Change, Unchanged } from '../change.ts'
import { type Facts, setFields, toFields } from '../fields.ts'
import { enterBatchLists } from './batch-lists.ts'
import type { BatchRecord, NewBatch } from './batch-record.ts'

/** Accepts a batch whose rows are written already: they no longer expire. Requires that it has lost none of its claims. */
export function writeBatch(batch: NewBatch, keys: RedisKeys): Change {
  const { id } = batch
  return {
    unchanged: [[keys.batchMark(id), 'names', 'claimed']],
    commands: [
      ['HSET', keys.batch(id), ...toFields(batch)],
      ...enterBatchLists(id, keys),
      ['PERSIST', keys.batchRows(id)],
      ['DEL', keys.batchMark(id)],
    ],
    events: [eventOf(id, keys)],
  }
}

/** Changes fields of a batch under its lock; undefined removes a field. */
export function changeBatch(
  id: string,
  lock: Unchanged,
  facts: Facts<BatchRecord>,
  keys: RedisKeys,
  more: string[][] = [],
): Change {
  return {
    unchanged: [lock],
    commands: [...setFields(keys.batch(id), facts, facts), ...more],
    events: [eventOf(id, keys)],
  }
}

/** Runs commands under the lock of a batch, without an event. */
export function changeWithoutEvent(lock: Unchanged, commands: string[][]): Change {
  return { unchanged: [lock], commands, events: [] }
}

const eventOf = (id: string, keys: RedisKeys) => ['batch', id, keys.batch(id)] as const
