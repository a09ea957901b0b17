import type { RedisKeys } from '#shared/redis/keys.ts'
import type { Change, Unchanged } from '../change.ts'
import { type Facts, setFields, toFields } from '../fields.ts'
import { enterBatchLists } from './batch-lists.ts'
import type { BatchRecord, NewBatch } from './batch-record.ts'

/** A batch that is accepted, whose rows are there already: they stay, and it may have no name that it claimed taken from it. */
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
    events: [told(id, keys)],
  }
}

/** Other facts of a batch, by whoever has its lock; what is given as undefined is removed. */
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
    events: [told(id, keys)],
  }
}

/** What is written for a batch without anybody being told. */
export function noteForBatch(lock: Unchanged, commands: string[][]): Change {
  return { unchanged: [lock], commands, events: [] }
}

const told = (id: string, keys: RedisKeys) => ['batch', id, keys.batch(id)] as const
