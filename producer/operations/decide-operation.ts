import { ProvostError } from '#shared/errors.ts'
import type { JailState } from '#shared/jail.ts'
import { planVersion } from '#shared/job.ts'
import { hasEnded, type JailOperationKind } from '#shared/operation.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { newOperation, writeOperation } from '../records/operation-changes.ts'
import { changeStatus } from '../records/operation-lists.ts'
import { endedExpireSeconds, type JailRecord, type OperationRecord, toFields } from '../records/records.ts'
import type { Change } from '../records/scripts.ts'
import type { Decision } from './accept.ts'

/** An operation that a caller may ask of a jail that exists. */
export type Verb = Exclude<JailOperationKind, 'provision'>

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
  const asked = { kind: verb, jail: jail.name, host: jail.host, epoch }
  const operation = newOperation(
    nothingToDo ? { ...asked, status: 'succeeded', percent: 100, startedAt: at, finishedAt: at, wakeup: 0 } : asked,
    now,
  )
  const next: JailRecord = { ...jail, lastOperation: operation.id, updatedAt: at, epoch: nothingToDo ? jail.epoch : epoch }
  const change = changeJailRecord(jail, next, keys)
  change.commands.push(...writeOperation(operation, now, keys))
  if (nothingToDo)
    change.commands.push(
      ['EXPIRE', keys.operation(operation.id), String(endedExpireSeconds)],
      ['ZREM', keys.wakeups, operation.id],
      ['ZREM', keys.operations('host', jail.host), operation.id],
    )
  change.events.push(['operation', operation.id, keys.operation(operation.id)])
  if (cancels) {
    change.unchanged.push([keys.operation(cancels.id), cancels.revision])
    change.commands.push(['HSET', keys.operation(cancels.id), 'cancelRequested', '1'])
    change.events.push(['operation', cancels.id, keys.operation(cancels.id)])
  }
  return {
    change,
    accepted: { jail: next, operation },
    wakes: !nothingToDo,
    ...(cancels ? { cancels: { operation: cancels, jail } } : {}),
  }
}

/**
 * Decides a retry by a person: the same operation, its next attempt. `jail` is null for one that is about none of the fleet.
 * @throws ProvostError `not_retryable`.
 */
export function decideRetry(operation: OperationRecord, jail: JailRecord | null, { keys, epoch, now }: Context): Decision {
  if (jail && jail.lastOperation !== operation.id)
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
    plan: planVersion,
    sequence: 0,
    wakeup: operation.wakeup + 1,
    failedJobs: 0,
  }
  const key = keys.operation(operation.id)
  const change: Change = {
    unchanged: [[key, operation.revision]],
    commands: [
      ['HDEL', key, 'error', 'waiting', 'cancelRequested'],
      ['PERSIST', key],
      ...changeStatus(operation, 'queued', keys),
      ...writeOperation(next, now, keys),
    ],
    events: [['operation', operation.id, key]],
  }
  if (!jail) return { change, accepted: { jail, operation: next }, wakes: true }
  const state: JailState = operation.kind === 'provision' ? 'queued' : jail.state
  const nextJail: JailRecord = { ...jail, state, epoch, updatedAt: now.toISOString() }
  const jailChange = changeJailRecord(jail, nextJail, keys)
  return {
    change: {
      unchanged: [...jailChange.unchanged, ...change.unchanged],
      commands: [...jailChange.commands, ...change.commands],
      events: [...jailChange.events, ...change.events],
    },
    accepted: { jail: nextJail, operation: next },
    wakes: true,
  }
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
 * Decides a cancel of an operation that has not ended: the flag that the worker finds between two steps.
 * @throws ProvostError `not_cancellable` for a stop or a destroy that runs, and a destroy that has cancelled a provision.
 */
export function decideCancel(operation: OperationRecord, jail: JailRecord | null, keys: RedisKeys): Change {
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

function changeJailRecord(before: JailRecord, jail: JailRecord, keys: RedisKeys): Change {
  const { revision: _, ...fields } = jail
  const key = keys.jail(jail.name)
  const commands = [['HSET', key, ...toFields(fields)]]
  if (before.state !== jail.state)
    commands.push(
      ['ZREM', keys.jails('state', before.state), jail.name],
      ['ZADD', keys.jails('state', jail.state), '0', jail.name],
    )
  return { unchanged: [[key, before.revision]], commands, events: [['jail', jail.name, key]] }
}
