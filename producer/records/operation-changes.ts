import { v7 as uuid } from 'uuid'
import { planVersion } from '#shared/job.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { type OperationRecord, toFields } from './records.ts'

type Facts = Pick<OperationRecord, 'kind' | 'jail' | 'host' | 'epoch'> & Partial<OperationRecord>

/** An operation as it is when it has just been accepted; a provision's is made by its admission. */
export function newOperation(facts: Facts, now: Date): OperationRecord {
  return {
    id: uuid(),
    status: 'queued',
    percent: 0,
    step: null,
    steps: [],
    attempt: 1,
    createdAt: now.toISOString(),
    startedAt: null,
    finishedAt: null,
    plan: planVersion,
    sequence: 0,
    wakeup: 1,
    revision: '',
    ...facts,
  }
}

/** The commands that write an operation that is to be done, with its wake-up and its places in the lists. */
export function writeOperation(operation: OperationRecord, now: Date, keys: RedisKeys): string[][] {
  const { revision: _, ...fields } = operation
  const { id, jail, host, status } = operation
  const lists = [
    keys.operations(),
    keys.operations('status', status),
    keys.operations('host', host),
    ...(jail === null ? [] : [keys.operations('jail', jail)]),
  ]
  return [
    ['HSET', keys.operation(id), ...toFields(fields)],
    ...lists.map((list) => ['ZADD', list, '0', id]),
    ['ZADD', keys.wakeups, String(now.getTime()), id],
  ]
}
