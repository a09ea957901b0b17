import { hasEnded, type OperationStatus } from '#shared/operation.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { countInBatch } from '../batches/batch-lists.ts'
import { enter, leave, move } from '../lists.ts'
import type { NewOperation } from './operation-record.ts'

/** A list of operations, by time: all, those of one status, jail or batch, or those of one host that have not ended. */
export type OperationList = 'all' | { status: OperationStatus } | { jail: string } | { batch: string } | { host: string }

/** Returns the key of a list. */
export function operationList(of: OperationList, keys: RedisKeys): string {
  if (of === 'all') return keys.operations()
  if ('status' in of) return keys.operations('status', of.status)
  if ('jail' in of) return keys.operations('jail', of.jail)
  return 'batch' in of ? keys.operations('batch', of.batch) : keys.operations('host', of.host)
}

/** What of an operation decides in which lists it stands. One that has no host yet stands in none of a host. */
type Listed = Pick<NewOperation, 'id' | 'status' | 'jail' | 'batch'> & { host?: string }

/** All lists that an operation stands in: a new one has its place here, and nowhere else. */
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

/** The commands for an operation that stands in other lists from now on, and counts under another status in its batch. */
export function moveInOperationLists(before: Listed, after: Listed, keys: RedisKeys): string[][] {
  const { batch } = before
  return [
    ...move(listsOf(before, keys), listsOf(after, keys), before.id),
    ...(batch === undefined || before.status === after.status ? [] : countInBatch(batch, before.status, after.status, keys)),
  ]
}

/** The command that has the jobs of an operation added to their queues, should whoever accepted it not get that far. */
export const noteWakeup = (id: string, nowMs: number, keys: RedisKeys) => ['ZADD', keys.wakeups, String(nowMs), id]
export const dropWakeup = (id: string, keys: RedisKeys) => ['ZREM', keys.wakeups, id]
