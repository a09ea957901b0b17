import { v7 as uuid } from 'uuid'
import { planVersion } from '#shared/job.ts'
import { bareAddress } from '#shared/network/addresses.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { type Change, merge } from '../change.ts'
import { type Facts, setFields, toFields, withFacts } from '../fields.ts'
import {
  dropWakeup,
  enterOperationLists,
  leaveOperationLists,
  moveInOperationLists,
  noteWakeup,
  operationList,
} from './operation-lists.ts'
import type { NewOperation, OperationRecord } from './operation-record.ts'

/** Everything that can become of an operation's record. Pure: each returns the change to commit. */

/** What every operation is asked with. */
type Asked = Pick<NewOperation, 'kind' | 'jail' | 'host' | 'epoch'>
/** What an admission writes of a provision; the rest follows from the host that takes its jail. */
export type UnplacedOperation = Omit<NewOperation, 'host' | 'epoch'>

/** Should no sweeper take it out, Redis does; a day after its 30, since a sweeper still knows which lists it stands in. */
export const endedExpireSeconds = 31 * 24 * 3_600

/** Returns an operation as it is when it has just been accepted; a provision's is made by its admission. */
export function newOperation(facts: Asked & Partial<NewOperation>, now: Date): NewOperation {
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

/** A new operation that is to be done. */
export function queueOperation(operation: NewOperation, now: Date, keys: RedisKeys): Change {
  return merge(writeOperation(operation, keys), { commands: [noteWakeup(operation.id, now.getTime(), keys)] })
}

/** A new operation that has ended as it was asked for, since there was nothing to do. */
export function writeEnded(operation: NewOperation, keys: RedisKeys): Change {
  return merge(writeOperation(operation, keys), { commands: [expire(operation, keys)] })
}

/** A provision whose jail is to get its place. `before`: its record as a cancel left it, if it is admitted once more. */
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
    events: [told(operation, keys)],
  }
}

/** What follows for the records from the host that an operation is to be done on. */
export function giveToHost(id: string, host: string, keys: RedisKeys): string[][] {
  return [
    ['HSET', keys.operation(id), 'host', host],
    ['ZADD', operationList({ host }, keys), '0', id],
  ]
}

/** A person's retry: the next attempt of an operation that has ended. */
export function queueAgain(before: OperationRecord, epoch: number, now: Date, keys: RedisKeys): Queued {
  const { attempt } = before
  const facts = { ...notBegun(before), percent: 0, attempt: attempt + 1, epoch, plan: planVersion, ...unended }
  const commands = [['PERSIST', keys.operation(before.id)], noteWakeup(before.id, now.getTime(), keys)]
  return { operation: withFacts(before, facts), change: merge(changeOperation(before, facts, keys), { commands }) }
}

/** An operation leaves the host that it has not begun on; an admission gives it to another one. */
export function leaveHost(before: OperationRecord, now: Date, keys: RedisKeys): Queued {
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
      events: [told(before, keys)],
    },
  }
}

/** Other jobs take the place of those that are gone; `failedJobs`: how many have failed so far. */
export function wakeAgain(before: OperationRecord, failedJobs: number, now: Date, keys: RedisKeys): Queued {
  const facts = { wakeup: before.wakeup + 1, failedJobs }
  const commands = [noteWakeup(before.id, now.getTime(), keys)]
  return { operation: withFacts(before, facts), change: merge(changeOperation(before, facts, keys), { commands }) }
}

/** An operation as it is queued now, and the change that makes it so. */
export type Queued = { operation: OperationRecord; change: Change }

/** Other facts of an operation that goes on; what is given as undefined is removed. */
export function changeOperation(before: OperationRecord, facts: Facts<NewOperation>, keys: RedisKeys): Change {
  const key = keys.operation(before.id)
  return {
    unchanged: [[key, 'revision', before.revision]],
    commands: [...setFields(key, facts, before), ...moveInOperationLists(before, withFacts(before, facts), keys)],
    events: [told(before, keys)],
  }
}

/** How an operation ends. */
type Ending = Facts<NewOperation> & {
  status: Exclude<NewOperation['status'], 'queued' | 'running'>
  finishedAt: string
}

/** An operation has its verdict: it is kept for a while, and nothing wakes its host any more. */
export function endOperation(before: OperationRecord, ending: Ending, keys: RedisKeys): Change {
  const { id, host, epoch, orphan } = before
  const change = merge(changeOperation(before, { waiting: undefined, ...ending }, keys), {
    commands: [
      expire(before, keys),
      dropWakeup(id, keys),
      // Only now: it could be moved until here.
      ['DEL', keys.binding(host, id, epoch)],
    ],
  })
  if (!orphan) return change
  if (ending.status !== 'succeeded') return merge(change, { commands: [['DEL', keys.cleaning(orphan.provision)]] })
  const addresses = orphan.addresses.map(bareAddress)
  return merge(change, { unhold: { held: keys.heldLeases(host), holder: keys.forgottenHolder(host), addresses } })
}

/** An operation that nobody needs any more. */
export function dropOperation(operation: OperationRecord, keys: RedisKeys): Change {
  const key = keys.operation(operation.id)
  return {
    unchanged: [[key, 'revision', operation.revision]],
    commands: [['DEL', key], ...leaveOperationLists(operation, keys)],
    events: [],
  }
}

/**
 * An operation as its host's journal has it, which has no record, or only that of an earlier attempt: `before`. Where it has
 * not ended its host has begun it.
 */
export function restoreOperation(operation: NewOperation, before: OperationRecord | undefined, keys: RedisKeys): Change {
  const { id, host, epoch, finishedAt } = operation
  const key = keys.operation(id)
  return {
    unchanged: [[key, 'revision', before?.revision ?? null]],
    commands: [
      ...(before ? [['DEL', key], ...leaveOperationLists(before, keys), dropWakeup(id, keys)] : []),
      ['HSET', key, ...toFields(operation)],
      ...enterOperationLists(operation, keys),
      ...(finishedAt
        ? [['EXPIREAT', key, secondsAfter(finishedAt, endedExpireSeconds)]]
        : [noteWakeup(id, 0, keys), ['SET', keys.binding(host, id, epoch), `bound ${epoch}`]]),
    ],
    events: [told(operation, keys)],
  }
}

/** The commands that keep an orphan from being adopted while an operation destroys it. */
export function noteCleaning(operation: string, provision: string, keys: RedisKeys): string[][] {
  const key = keys.cleaning(provision)
  return [
    ['HSET', key, 'operation', operation],
    ['EXPIRE', key, String(endedExpireSeconds)],
  ]
}

/** The second since 1970 that comes so long after a time, as EXPIREAT has it. */
export function secondsAfter(time: string, seconds: number): string {
  return String(Math.floor(Date.parse(time) / 1000) + seconds)
}

function writeOperation(operation: NewOperation, keys: RedisKeys): Change {
  return {
    unchanged: [],
    commands: [['HSET', keys.operation(operation.id), ...toFields(operation)], ...enterOperationLists(operation, keys)],
    events: [told(operation, keys)],
  }
}

const unended = { startedAt: null, finishedAt: null, error: undefined, cancelRequested: undefined }

/** What an operation is like before any host has begun it. */
function notBegun({ wakeup }: OperationRecord) {
  const nothing = { status: 'queued' as const, step: null, steps: [], sequence: 0, waiting: undefined }
  return { ...nothing, wakeup: wakeup + 1, failedJobs: 0 }
}

const expire = ({ id }: { id: string }, keys: RedisKeys) => ['EXPIRE', keys.operation(id), String(endedExpireSeconds)]
const told = ({ id }: { id: string }, keys: RedisKeys) => ['operation', id, keys.operation(id)] as const
