import { v7 as uuid } from 'uuid'
import { planVersion } from '#shared/job.ts'
import { bareAddress } from '#shared/network/addresses.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { type Change, merge } from '../change.ts'
import { type Facts, setFields, toFields, withFacts } from '../fields.ts'
import {
  dropWakeup,
  enterListOfHost,
  enterOperationLists,
  leaveOperationLists,
  moveInOperationLists,
  noteWakeup,
} from './operation-lists.ts'
import type { NewOperation, OperationRecord } from './operation-record.ts'

/** Every change of an operation's record. All functions but `newOperation` return the change to commit, or its commands. */

type RequiredFacts = Pick<NewOperation, 'kind' | 'jail' | 'host' | 'epoch'>
/** What an admission writes of a provision; the other fields depend on the host that takes its jail. */
export type UnplacedOperation = Omit<NewOperation, 'host' | 'epoch'>

/** When Redis expires an ended operation: a day later than `drop-expired`, which removes it from its lists as well. */
export const endedExpireSeconds = 31 * 24 * 3_600

/** Returns an operation as it is just after acceptance; that of a provision is made by its admission. */
export function newOperation(facts: RequiredFacts & Partial<NewOperation>, now: Date): NewOperation {
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
    ...facts,
  }
}

/** Creates an operation that is queued. */
export function queueOperation(operation: NewOperation, now: Date, keys: RedisKeys): Change {
  return merge(writeOperation(operation, keys), { commands: [noteWakeup(operation.id, now.getTime(), keys)] })
}

/** Creates an operation that has ended already, as there was nothing to do. */
export function writeEnded(operation: NewOperation, keys: RedisKeys): Change {
  return merge(writeOperation(operation, keys), { commands: [expire(operation, keys)] })
}

/** Creates a provision that has no host yet. `before`: its record as a cancel left it, if it is admitted again. */
export function admitOperation(
  operation: UnplacedOperation,
  before: OperationRecord | undefined,
  now: Date,
  keys: RedisKeys,
): Change {
  const key = keys.operation(operation.id)
  return {
    unchanged: before ? [[key, 'revision', before.revision]] : [],
    commands: [
      ...(before ? [['DEL', key], ...moveInOperationLists(before, operation, keys)] : enterOperationLists(operation, keys)),
      ['HSET', key, ...toFields(operation)],
      noteWakeup(operation.id, now.getTime(), keys),
    ],
    events: [eventOf(operation, keys)],
  }
}

/** Returns the commands that write the host of an operation. */
export function assignToHost(id: string, host: string, keys: RedisKeys): string[][] {
  return [['HSET', keys.operation(id), 'host', host], ...enterListOfHost(id, host, keys)]
}

/** Queues the next attempt of an operation that has ended, for a person's retry. */
export function queueAgain(before: OperationRecord, epoch: number, now: Date, keys: RedisKeys): Queued {
  const { attempt } = before
  const facts = { ...notBegun(before), percent: 0, attempt: attempt + 1, epoch, plan: planVersion, ...unended }
  const commands = [['PERSIST', keys.operation(before.id)], noteWakeup(before.id, now.getTime(), keys)]
  return { operation: withFacts(before, facts), change: merge(changeOperation(before, facts, keys), { commands }) }
}

/** Takes an operation off the host that has not begun it, so that an admission can give it to another one. */
export function unplaceOperation(before: OperationRecord, now: Date, keys: RedisKeys): Queued {
  const facts = notBegun(before)
  const { host: _, ...homeless } = { ...before, ...facts }
  return {
    operation: withFacts(before, facts),
    change: {
      unchanged: [[keys.operation(before.id), 'revision', before.revision]],
      commands: [
        ...setFields(keys.operation(before.id), facts, before),
        ...moveInOperationLists(before, homeless, keys),
        noteWakeup(before.id, now.getTime(), keys),
      ],
      events: [eventOf(before, keys)],
    },
  }
}

/** Queues new jobs of an operation in place of lost ones; `failedJobs`: how many have failed so far. */
export function wakeAgain(before: OperationRecord, failedJobs: number, now: Date, keys: RedisKeys): Queued {
  const facts = { wakeup: before.wakeup + 1, failedJobs }
  const commands = [noteWakeup(before.id, now.getTime(), keys)]
  return { operation: withFacts(before, facts), change: merge(changeOperation(before, facts, keys), { commands }) }
}

/** An operation as it is queued now, and the change that queues it. */
type Queued = { operation: OperationRecord; change: Change }

/** Changes fields of an operation; undefined removes a field. */
export function changeOperation(before: OperationRecord, facts: Facts<NewOperation>, keys: RedisKeys): Change {
  const key = keys.operation(before.id)
  return {
    unchanged: [[key, 'revision', before.revision]],
    commands: [...setFields(key, facts, before), ...moveInOperationLists(before, withFacts(before, facts), keys)],
    events: [eventOf(before, keys)],
  }
}

type Ending = Facts<NewOperation> & {
  status: Exclude<NewOperation['status'], 'queued' | 'running'>
  finishedAt: string
}

/** Ends an operation: its record expires after a while, and its jobs are not added again. */
export function endOperation(before: OperationRecord, ending: Ending, keys: RedisKeys): Change {
  const { id, host, epoch, orphan } = before
  const change = merge(changeOperation(before, { waiting: undefined, ...ending }, keys), {
    commands: [
      expire(before, keys),
      dropWakeup(id, keys),
      // Not earlier: until its end the binding keeps it from being moved.
      ['DEL', keys.binding(host, id, epoch)],
    ],
  })
  if (!orphan) return change
  if (ending.status !== 'succeeded') return merge(change, { commands: [['DEL', keys.cleaning(orphan.provision)]] })
  const addresses = orphan.addresses.map(bareAddress)
  return merge(change, { unhold: { held: keys.heldLeases(host), holder: keys.forgottenHolder(host), addresses } })
}

/** Removes an operation with its entries in lists. */
export function dropOperation(operation: OperationRecord, keys: RedisKeys): Change {
  const key = keys.operation(operation.id)
  return {
    unchanged: [[key, 'revision', operation.revision]],
    commands: [['DEL', key], ...leaveOperationLists(operation, keys)],
    events: [],
  }
}

/**
 * Writes an operation from its host's journal. `before`: the record of an earlier attempt, if there is one. An operation that
 * has not ended is bound to its host, which has begun it.
 */
export function restoreOperation(operation: NewOperation, before: OperationRecord | undefined, keys: RedisKeys): Change {
  const { id, host, epoch, finishedAt } = operation
  const key = keys.operation(id)
  return {
    unchanged: [[key, 'revision', before?.revision ?? null]],
    commands: [
      ...(before ? [['DEL', key], ...moveInOperationLists(before, operation, keys), dropWakeup(id, keys)] : []),
      ['HSET', key, ...toFields(operation)],
      ...(before ? [] : enterOperationLists(operation, keys)),
      ...(finishedAt
        ? [['EXPIREAT', key, secondsAfter(finishedAt, endedExpireSeconds)]]
        : [noteWakeup(id, 0, keys), ['SET', keys.binding(host, id, epoch), `bound ${epoch}`]]),
    ],
    events: [eventOf(operation, keys)],
  }
}

/** Returns the time so many seconds after another one, in seconds since 1970 as EXPIREAT takes it. */
export function secondsAfter(time: string, seconds: number): string {
  return String(Math.floor(Date.parse(time) / 1000) + seconds)
}

function writeOperation(operation: NewOperation, keys: RedisKeys): Change {
  return {
    unchanged: [],
    commands: [['HSET', keys.operation(operation.id), ...toFields(operation)], ...enterOperationLists(operation, keys)],
    events: [eventOf(operation, keys)],
  }
}

const unended = { startedAt: null, finishedAt: null, error: undefined, cancelRequested: undefined }

/** Returns the fields of an operation that no host has begun. */
function notBegun({ wakeup }: OperationRecord) {
  const nothing = { status: 'queued' as const, step: null, steps: [], sequence: 0, waiting: undefined }
  return { ...nothing, wakeup: wakeup + 1, failedJobs: 0 }
}

const expire = ({ id }: { id: string }, keys: RedisKeys) => ['EXPIRE', keys.operation(id), String(endedExpireSeconds)]
const eventOf = ({ id }: { id: string }, keys: RedisKeys) => ['operation', id, keys.operation(id)] as const
