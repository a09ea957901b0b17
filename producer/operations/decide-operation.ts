import { ProvostError } from '#shared/errors.ts'
import type { JailState } from '#shared/jail.ts'
import { hasEnded, type JailOperationKind, lifeOfJail, onlyGoesForward } from '#shared/operation.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { type Change, merge, type Unchanged } from '../records/change.ts'
import { changeJail } from '../records/jails/jail-changes.ts'
import type { JailRecord } from '../records/jails/jail-record.ts'
import { changeOperation, newOperation, queueOperation, writeEnded } from '../records/operations/operation-changes.ts'
import type { OperationRecord } from '../records/operations/operation-record.ts'
import type { Commit } from './decision.ts'

/** An operation that a caller may request on an existing jail. */
export type Verb = Exclude<JailOperationKind, 'provision'>

/** What a decision depends on, beside the records. */
export type Context = { keys: RedisKeys; epoch: number; now: Date; batch?: BatchTerms | undefined }

/** The batch that asks, the number of its row, and its lock, which the caller must still have. */
export type BatchTerms = { id: string; row: number; lock: Unchanged }

/**
 * Decides an operation that is requested on a jail. Pure.
 * @throws ProvostError `jail_busy` naming the open operation, `jail_failed`.
 */
export function decideVerb(verb: Verb, jail: JailRecord, last: OperationRecord | undefined, context: Context): Commit {
  const { keys, epoch, now, batch } = context
  const atWork = last && !hasEnded(last.status) ? last : undefined
  const cancels = verb === 'destroy' && atWork?.kind === 'provision' ? atWork : undefined
  if (atWork && !cancels)
    throw new ProvostError('jail_busy', `Operation ${atWork.id} (${atWork.kind}) is at work on jail ${jail.name}.`)
  if (lifeOfJail[verb].refusedOf.includes(jail.state))
    throw new ProvostError(
      'jail_failed',
      `Jail ${jail.name} is ${jail.state}; its operation ${jail.lastOperation} has not succeeded.`,
    )
  if (lifeOfJail[verb].doneOf === jail.state) return decideNothing(verb, jail, context)

  const ofBatch = batch === undefined ? {} : { batch: batch.id }
  const operation = newOperation({ kind: verb, jail: jail.name, host: jail.host, epoch, ...ofBatch }, now)
  const facts = { lastOperation: operation.id, updatedAt: now.toISOString(), epoch }
  return {
    type: 'commit',
    change: merge(
      changeJail(jail, facts, keys),
      queueOperation(operation, now, keys),
      cancels ? requestCancel(cancels, keys) : {},
      batch ? noteInBatch(operation.id, batch, keys) : {},
    ),
    accepted: { jail: { ...jail, ...facts }, operation },
    wakes: true,
    ...(cancels ? { cancels: { operation: cancels, jail } } : {}),
  }
}

/** In the same change, so that a count of the waiting rows never includes one that has an operation. */
function noteInBatch(operation: string, { id, row, lock }: BatchTerms, keys: RedisKeys): Partial<Change> {
  return { unchanged: [lock], commands: [['HSET', keys.batchOutcomes(id), String(row), operation]] }
}

/** Decides an operation with nothing to do, which has succeeded already. The jail keeps its epoch, by which its host knows it. */
function decideNothing(verb: Verb, jail: JailRecord, { keys, epoch, now }: Context): Commit {
  const at = now.toISOString()
  const asked = { kind: verb, jail: jail.name, host: jail.host, epoch }
  const ended = { status: 'succeeded', percent: 100, startedAt: at, finishedAt: at, wakeup: 0 } as const
  const operation = newOperation({ ...asked, ...ended }, now)
  const facts = { lastOperation: operation.id, updatedAt: at }
  return {
    type: 'commit',
    change: merge(changeJail(jail, facts, keys), writeEnded(operation, keys)),
    accepted: { jail: { ...jail, ...facts }, operation },
    wakes: false,
  }
}

/** The states of a jail whose provision has not ended. */
const unprovisioned: JailState[] = ['queued', 'building', 'built', 'starting']

/**
 * Decides a cancel of an operation that has not ended: sets the flag that the worker reads between two steps.
 * @throws ProvostError `not_cancellable` for a running operation that only goes forward, and for a destroy that has cancelled a provision.
 */
export function decideCancel(operation: OperationRecord, jail: JailRecord | null, keys: RedisKeys) {
  if (onlyGoesForward(operation.kind) && operation.status === 'running')
    throw new ProvostError('not_cancellable', `Operation ${operation.id} is a ${operation.kind} that runs.`)
  // Only its destroy releases what such a jail has.
  if (operation.kind === 'destroy' && jail && unprovisioned.includes(jail.state))
    throw new ProvostError(
      'not_cancellable',
      `Operation ${operation.id} has cancelled the provision of jail ${jail.name} already.`,
    )
  return requestCancel(operation, keys)
}

const requestCancel = (operation: OperationRecord, keys: RedisKeys) => changeOperation(operation, { cancelRequested: '1' }, keys)
