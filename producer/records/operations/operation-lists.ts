import { hasEnded, OperationStatus } from '#shared/operation.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { countInBatch } from '../batches/batch-lists.ts'
import { enter, leave, move } from '../lists.ts'
import type { NewOperation } from './operation-record.ts'

/** There is a list of operations for each value of these fields, ordered by time. A new kind of list is added here, and nowhere else. */
const listedBy = ['status', 'jail', 'batch', 'host'] as const
type ListedBy = (typeof listedBy)[number]

/** The fields of an operation that decide which lists it is in. An operation without a host yet is in no list of a host. */
type Listed = Pick<NewOperation, 'id' | Exclude<ListedBy, 'host'>> & { host?: string }

/** A list of operations: all, those of one status, jail or batch, or those of one host that have not ended. */
export type OperationList = 'all' | { status: OperationStatus } | { jail: string } | { batch: string } | { host: string }

/** Returns the lists of the given values. */
function listsFor(of: { [By in ListedBy]?: string | null | undefined }, keys: RedisKeys): string[] {
  return listedBy.flatMap((by) => (of[by] === undefined || of[by] === null ? [] : [keys.operations(by, of[by])]))
}

/** Returns the key of a list. */
export function operationList(of: OperationList, keys: RedisKeys): string {
  return (of === 'all' ? undefined : listsFor(of, keys)[0]) ?? keys.operations()
}

/** Returns all lists that an operation is in; in its host's only until it has ended. */
function listsOf({ host, ...operation }: Listed, keys: RedisKeys): string[] {
  return [keys.operations(), ...listsFor(hasEnded(operation.status) ? operation : { ...operation, host }, keys)]
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

/** Return the commands for an operation that is placed on a host, or taken off it. */
export const enterListOfHost = (id: string, host: string, keys: RedisKeys) => enter(listsFor({ host }, keys), id)
export const leaveListOfHost = (id: string, host: string, keys: RedisKeys) => leave(listsFor({ host }, keys), id)

/** Returns the commands that take an operation without a record out of the lists that can be told without it. */
export const leaveAnyLists = (id: string, keys: RedisKeys) =>
  leave([keys.operations(), ...OperationStatus.options.flatMap((status) => listsFor({ status }, keys))], id)

/** Returns the command that marks an operation whose jobs are still to be added, in case the producer that accepted it dies. */
export const noteWakeup = (id: string, nowMs: number, keys: RedisKeys) => ['ZADD', keys.wakeups, String(nowMs), id]
export const dropWakeup = (id: string, keys: RedisKeys) => ['ZREM', keys.wakeups, id]
