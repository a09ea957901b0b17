import type { Logger } from 'pino'
import { ProvostError } from '#shared/errors.ts'
import { firstJobOf, hasExpired, type JobName, lastJobOf } from '#shared/job.ts'
import { hasEnded } from '#shared/operation.ts'
import type { Timing } from '#shared/process/timing.ts'
import { fleetTime, fleetTimeMs } from '#shared/redis/fleet-clock.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { jobId, queueName, queueOf } from '#shared/redis/queues.ts'
import { answersOf } from '#shared/redis/transactions.ts'
import { type Change, merge } from '../records/change.ts'
import { changeJail } from '../records/jails/jail-changes.ts'
import type { JailRecord } from '../records/jails/jail-record.ts'
import { pagesOf } from '../records/lists.ts'
import { endOperation, wakeAgain } from '../records/operations/operation-changes.ts'
import { operationList } from '../records/operations/operation-lists.ts'
import type { OperationRecord } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'
import { type Enqueued, hasSubject } from './enqueue.ts'

export type JobDeps = Store & { log: Logger; timing: Timing; enqueue(enqueued: Enqueued): Promise<void> }

const pageSize = 200
/** An operation fails after so many failed jobs without a report from its host. */
const mostFailedJobs = 5

/** Adds new jobs for open operations whose jobs are gone or have failed. Any producer may do it, also several at once. */
export async function replaceLostJobs(deps: JobDeps): Promise<void> {
  const { redis, keys, records, log } = deps
  for (const status of ['queued', 'running'] as const)
    for await (const ids of pagesOf(redis, operationList({ status }, keys), pageSize))
      for (const operation of await withoutJob(deps, await records.operations(ids)))
        await replaceLostJob(deps, operation).catch((error) => log.warn({ err: error, operation: operation.id }, 'sweep'))
}

/** Returns the operations whose job is gone or ended a while ago, and whose jobs are not about to be added. */
async function withoutJob({ redis, keys, timing }: JobDeps, operations: OperationRecord[]): Promise<OperationRecord[]> {
  const pipeline = redis.pipeline()
  for (const operation of operations)
    pipeline
      .zscore(keys.wakeups, operation.id)
      .hmget(keyOfJob(operation, lastJobOf(operation.kind), keys), 'timestamp', 'finishedOn')
  const answers = await answersOf(pipeline)
  return operations.filter(({ status }, i) => {
    const [wakesAt, [addedAt, finishedAt]] = [answers[2 * i], answers[2 * i + 1] as (string | null)[]]
    if (hasEnded(status) || wakesAt !== null) return false
    // The last report of an operation whose job has just finished may still be on its way. A time ahead of now is of a wrong clock.
    return !addedAt || (finishedAt && Math.abs(fleetTimeMs() - Number(finishedAt)) >= timing.lost)
  })
}

async function replaceLostJob(deps: JobDeps, operation: OperationRecord): Promise<void> {
  const { keys, records, scripts, log, enqueue } = deps
  const jail = await records.jailOf(operation)
  if (!hasSubject({ operation, jail })) return cancelWithoutJail(deps, operation)
  const fault = await faultOf(deps, operation)
  const failedJobs = (operation.failedJobs ?? 0) + (fault === null || fault.includes(hasExpired) ? 0 : 1)
  if (failedJobs >= mostFailedJobs) return failOperation(deps, operation, jail, fault ?? '')
  const again = wakeAgain(operation, failedJobs, fleetTime(), keys)
  if ((await scripts.commit(again.change)).type !== 'done') return
  await enqueue({ jail, operation: again.operation })
  log.warn({ operation: operation.id, wakeup: again.operation.wakeup }, 'replaced a job that was lost')
}

// Jobs are read by their keys: a Queue for each would leave its listeners on the connection.
function keyOfJob({ id, host, batch, wakeup }: OperationRecord, name: JobName, keys: RedisKeys): string {
  const queue = `${keys.host(host)}:${queueName(host, queueOf(name, batch !== undefined))}`
  return `${queue}:${jobId(id, wakeup, name)}`
}

/** Returns why a job of an operation has failed, preferably the first one; null if none has, or they are gone. */
async function faultOf({ redis, keys }: Store, operation: OperationRecord): Promise<string | null> {
  const names = [firstJobOf(operation.kind), lastJobOf(operation.kind)]
  const reasons = await Promise.all(names.map((name) => redis.hget(keyOfJob(operation, name, keys), 'failedReason')))
  return reasons.find((reason) => reason !== null) ?? null
}

/** Fails an operation in place of its host, which does not report on it. */
async function failOperation(deps: JobDeps, operation: OperationRecord, jail: JailRecord | null, fault: string): Promise<void> {
  const { id, host, kind } = operation
  const error = new ProvostError(
    'unreadable_job',
    `Its job has failed ${mostFailedJobs} times on host ${host}, which did not say why of the operation: ${fault}`,
    { hint: "See the log of the host's worker; its version may not fit the producer's. Then retry." },
  )
  const at = fleetTime().toISOString()
  const isItsJail = jail !== null && jail.epoch === operation.epoch
  const failed = kind === 'provision' ? { state: 'failed' as const, jid: null } : {}
  const jailChange = isItsJail ? changeJail(jail, { ...failed, reason: undefined, updatedAt: at }, deps.keys) : {}
  const change = merge(endWithError(operation, 'failed', error, at, deps.keys), jailChange)
  if ((await deps.scripts.commit(change)).type === 'done')
    deps.log.error({ operation: id, fault }, 'gave up an operation whose jobs fail')
}

/** Cancels an operation whose jail was destroyed before it had a job, so that its host knows nothing of it. */
async function cancelWithoutJail({ scripts, keys, log }: JobDeps, operation: OperationRecord): Promise<void> {
  const error = new ProvostError('cancelled', `Jail ${operation.jail} was destroyed before the operation began.`)
  const change = endWithError(operation, 'cancelled', error, fleetTime().toISOString(), keys)
  if ((await scripts.commit(change)).type === 'done')
    log.warn({ operation: operation.id }, 'cancelled an operation whose jail is gone')
}

function endWithError(
  operation: OperationRecord,
  status: 'failed' | 'cancelled',
  { code, message, hint }: ProvostError,
  at: string,
  keys: RedisKeys,
): Change {
  const error = { code, message, hint, step: operation.step }
  const times = { startedAt: operation.startedAt ?? at, finishedAt: at }
  // A higher sequence, so that reports of its host that are not applied yet come too late.
  return endOperation(operation, { status, error, sequence: operation.sequence + 1, ...times }, keys)
}
