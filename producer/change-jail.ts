import { v7 as uuid } from 'uuid'
import { ProvostError } from '#shared/errors.ts'
import type { JailState } from '#shared/jail.ts'
import type { RedisKeys } from '#shared/keys.ts'
import { hasEnded, type OperationKind } from '#shared/operation.ts'
import type { Accepted } from './admit.ts'
import { endedExpireSeconds, type JailRecord, type OperationRecord, toFields } from './records.ts'
import type { Change } from './scripts.ts'

/** An operation that a caller may ask of a jail that exists. */
export type Verb = Exclude<OperationKind, 'provision'>

/** What a request comes to: the change to commit, how the records are then, and whether a worker has to do anything. */
export type Decision = { change: Change; accepted: Accepted; wakes: boolean; cancels?: OperationRecord }

type Context = { keys: RedisKeys; epoch: number; now: Date }

/**
 * Decides what a verb asked of a jail comes to. Pure.
 * @throws ProvostError `jail_busy` naming the operation at work, `jail_failed`.
 */
export function decideVerb(verb: Verb, jail: JailRecord, last: OperationRecord | undefined, context: Context): Decision {
  const { keys, epoch, now } = context
  const atWork = last && !hasEnded(last.status) ? last : undefined
  const cancels = verb === 'destroy' && atWork?.kind === 'provision' ? atWork : undefined
  if (atWork && !cancels)
    throw new ProvostError('jail_busy', `Operation ${atWork.id} (${atWork.kind}) is at work on jail ${jail.name}.`)
  if (verb !== 'destroy' && (jail.state === 'failed' || jail.state === 'destroying'))
    throw new ProvostError(
      'jail_failed',
      `Jail ${jail.name} is ${jail.state}; its operation ${jail.lastOperation} has not succeeded.`,
    )

  const nothingToDo = (verb === 'start' && jail.state === 'running') || (verb === 'stop' && jail.state === 'stopped')
  const at = now.toISOString()
  const operation: OperationRecord = {
    id: uuid(),
    kind: verb,
    jail: jail.name,
    status: nothingToDo ? 'succeeded' : 'queued',
    percent: nothingToDo ? 100 : 0,
    step: null,
    steps: [],
    attempt: 1,
    createdAt: at,
    startedAt: nothingToDo ? at : null,
    finishedAt: nothingToDo ? at : null,
    host: jail.host,
    epoch,
    sequence: 0,
    wakeup: nothingToDo ? 0 : 1,
    revision: '',
  }
  const next: JailRecord = { ...jail, lastOperation: operation.id, updatedAt: at, epoch: nothingToDo ? jail.epoch : epoch }
  const change = changeOf(jail, next, operation, context)
  change.commands.push(
    ['ZADD', keys.operations(), '0', operation.id],
    ['ZADD', keys.operations('jail', jail.name), '0', operation.id],
    ['ZADD', keys.operations('status', operation.status), '0', operation.id],
  )
  change.commands.push(
    nothingToDo
      ? ['EXPIRE', keys.operation(operation.id), String(endedExpireSeconds)]
      : ['ZADD', keys.wakeups, String(now.getTime()), operation.id],
  )
  if (cancels) {
    change.unchanged.push([keys.operation(cancels.id), cancels.revision])
    change.commands.push(['HSET', keys.operation(cancels.id), 'cancelRequested', '1'])
    change.events.push(['operation', cancels.id, keys.operation(cancels.id)])
  }
  return { change, accepted: { jail: next, operation }, wakes: !nothingToDo, ...(cancels ? { cancels } : {}) }
}

/**
 * Decides a retry by a person of an operation whose jail still has its record: the same operation, its next attempt.
 * @throws ProvostError `not_retryable`.
 */
export function decideRetry(operation: OperationRecord, jail: JailRecord, context: Context): Decision {
  const { keys, epoch, now } = context
  if (jail.lastOperation !== operation.id)
    throw new ProvostError(
      'not_retryable',
      `Operation ${operation.id} is not the last one of jail ${jail.name}; that is ${jail.lastOperation}.`,
    )
  const { error: _error, waiting: _waiting, cancelRequested: _cancel, ...kept } = operation
  const next: OperationRecord = {
    ...kept,
    status: 'queued',
    percent: 0,
    step: null,
    steps: [],
    attempt: operation.attempt + 1,
    startedAt: null,
    finishedAt: null,
    epoch,
    sequence: 0,
    wakeup: operation.wakeup + 1,
  }
  const state: JailState = operation.kind === 'provision' ? 'queued' : jail.state
  const nextJail: JailRecord = { ...jail, state, epoch, updatedAt: now.toISOString() }
  const change = changeOf(jail, nextJail, next, context)
  change.unchanged.push([keys.operation(operation.id), operation.revision])
  change.commands.unshift(
    ['HDEL', keys.operation(operation.id), 'error', 'waiting', 'cancelRequested'],
    ['PERSIST', keys.operation(operation.id)],
    ['ZREM', keys.operations('status', operation.status), operation.id],
    ['ZADD', keys.operations('status', 'queued'), '0', operation.id],
    ['ZADD', keys.wakeups, String(now.getTime()), operation.id],
  )
  return { change, accepted: { jail: nextJail, operation: next }, wakes: true }
}

/**
 * Whether an operation can be retried at all. @throws ProvostError `not_retryable`.
 */
export function assertRetryable({ id, status }: OperationRecord): void {
  if (status !== 'failed' && status !== 'cancelled')
    throw new ProvostError('not_retryable', `Operation ${id} is ${status}; only a failed or a cancelled one can be retried.`)
}

/** Where a jail is while its provision has not ended. */
const unprovisioned: JailState[] = ['queued', 'building', 'built', 'starting']

/**
 * Decides a cancel: the flag that the worker finds between two steps. Undefined when the operation has ended already.
 * @throws ProvostError `not_cancellable` for a stop or a destroy that runs, and a destroy that has cancelled a provision.
 */
export function decideCancel(operation: OperationRecord, jail: JailRecord | null, keys: RedisKeys): Change | undefined {
  if (hasEnded(operation.status)) return undefined
  if ((operation.kind === 'stop' || operation.kind === 'destroy') && operation.status === 'running')
    throw new ProvostError('not_cancellable', `Operation ${operation.id} is a ${operation.kind} that runs.`)
  // Without its destroy nobody would give back what such a jail holds.
  if (operation.kind === 'destroy' && jail && unprovisioned.includes(jail.state))
    throw new ProvostError(
      'not_cancellable',
      `Operation ${operation.id} has cancelled the provision of jail ${jail.name} already.`,
    )
  const key = keys.operation(operation.id)
  return {
    unchanged: [[key, operation.revision]],
    commands: [['HSET', key, 'cancelRequested', '1']],
    events: [['operation', operation.id, key]],
  }
}

function changeOf(before: JailRecord, jail: JailRecord, operation: OperationRecord, { keys }: Context): Change {
  const { revision: _a, ...jailFields } = jail
  const { revision: _b, ...operationFields } = operation
  const commands = [
    ['HSET', keys.jail(jail.name), ...toFields(jailFields)],
    ['HSET', keys.operation(operation.id), ...toFields(operationFields)],
  ]
  if (before.state !== jail.state)
    commands.push(
      ['ZREM', keys.jails('state', before.state), jail.name],
      ['ZADD', keys.jails('state', jail.state), '0', jail.name],
    )
  return {
    unchanged: [[keys.jail(jail.name), before.revision]],
    commands,
    events: [
      ['jail', jail.name, keys.jail(jail.name)],
      ['operation', operation.id, keys.operation(operation.id)],
    ],
  }
}
