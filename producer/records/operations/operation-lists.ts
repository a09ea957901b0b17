import { hasEnded, type OperationStatus } from '#shared/operation.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { countInBatch } from '../batches/batch-lists.ts'
import { enter, leave, move } from '../lists.ts'
import type { NewOperation } from './operation-record.ts'

/** A list of operations, ordered by time: all, those of one status, jail or batch, or those of one host that have not ended. */
export type OperationList = 'all' | { status: OperationStatus } | { jail: string } | { batch: string } | { host: string }

/** Returns the key of a list. */
export function operationList(of: OperationList, keys: RedisKeys): string {
  if (of === 'all') return keys.operations()
  if ('status' in of) return keys.operations('status', of.status)
  if ('jail' in of) return keys.operations('jail', of.jail)
  return 'batch' in of ? keys.operations('batch', of.batch) : keys.operations('host', of.host)
}

/** The fields of an operation that decide which lists it is in. An operation without a host yet is in no list of a host. */
type Listed = Pick<NewOperation, 'id' | 'status' | 'jail' | 'batch'> & { host?: string }

/** Returns all lists that an operation is in. A new kind of list is added here, and nowhere else. */
function listsOf({ status, jail, batch, host }: Listed, keys: RedisKeys): string[] {
  return [
    keys.operations(),
    keys.operations('status', status),
    ...(jail === null ? [] : [keys.operations('jail', jail)]),
    ...(batch === undefined ? [] : [keys.operations('batch', batch)]),
    ...(host === undefined || hasEnded(status) ? [] : [keys.operations('host', host)]),
  ]
}

export const enterOperationLists = (operation: Listed, keys: RedisKeys) => enter(listsOf(operation, keys), operation.id)
export const leaveOperationLists = (operation: Listed, keys: RedisKeys) => leave(listsOf(operation, keys), operation.id)

/** Returns the commands that move an operation between lists, and count it under its new status in its batch. */
export function moveInOperationLists(before: Listed, after: Listed, keys: RedisKeys): string[][] {
  const { batch } = before
  return [
    ...move(listsOf(before, keys), listsOf(after, keys), before.id),
    ...(batch === undefined || before.status === after.status ? [] : countInBatch(batch, before.status, after.status, keys)),
  ]
}

/** Returns the command that marks an operation whose jobs are still to be added, in case the producer that accepted it dies. */
export const noteWakeup = (id: string, nowMs: number, keys: RedisKeys) => ['ZADD', keys.wakeups, String(nowMs), id]
export const dropWakeup = (id: string, keys: RedisKeys) => ['ZREM', keys.wakeups, id]
