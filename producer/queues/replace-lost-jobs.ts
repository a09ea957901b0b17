import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { ProvostError } from '#shared/errors.ts'
import type { JobName } from '#shared/job.ts'
import { hasEnded } from '#shared/operation.ts'
import type { Timing } from '#shared/process/timing.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { jobId, queueName, queueOf } from '#shared/redis/queues.ts'
import type { FillReport, OperationReport } from '#shared/report.ts'
import { makeDropExpired } from '../operations/drop-expired.ts'
import type { JailRecord, OperationRecord, Records } from '../records/records.ts'
import type { Scripts } from '../records/scripts.ts'
import { applyOperationReport } from '../reports/apply-report.ts'
import { type Enqueued, firstJobOf, hasSubject, lastJobOf } from './enqueue.ts'

type Deps = {
  redis: Redis
  keys: RedisKeys
  records: Records
  scripts: Scripts
  log: Logger
  timing: Timing
  enqueue(enqueued: Enqueued): Promise<void>
}

const pageSize = 200
/** After so many jobs that have failed without a word of their host an operation is given up. */
const mostFailedJobs = 5

/**
 * Keeps records and queues in agreement. A wake-up that was recorded but not added (the producer died in between) is
 * added; an open operation whose job is gone or failed gets a new one. Any producer may do it, also all at once.
 */
export function startSweeper(deps: Deps) {
  const { log, timing } = deps
  const dropExpired = makeDropExpired(deps)
  const timers = [
    every(timing.look, () => addMissingWakeups(deps)),
    every(timing.lost, async () => {
      await replaceLostJobs(deps)
      await dropExpired()
    }),
  ]

  function every(intervalMs: number, sweep: () => Promise<void>): () => void {
    let sweeping = false
    const timer = setInterval(async () => {
      if (sweeping) return
      sweeping = true
      await sweep().catch((error) => log.warn({ err: error.message }, 'sweep'))
      sweeping = false
    }, intervalMs)
    return () => clearInterval(timer)
  }

  return { stop: () => timers.forEach((stop) => void stop()) }
}

async function addMissingWakeups(deps: Deps): Promise<void> {
  const { redis, keys, records, log, timing } = deps
  // For a while the producer that admitted is left to enqueue by itself.
  const ids = await redis.zrangebyscore(keys.wakeups, 0, Date.now() - timing.look, 'LIMIT', 0, pageSize)
  const open = new Map((await records.operations(ids)).map((operation) => [operation.id, operation]))
  for (const id of ids) {
    // One that cannot be added must not hold up those behind it.
    await addMissingWakeup(id, open.get(id), deps).catch((error) => log.warn({ err: error, operation: id }, 'enqueued later'))
  }
}

async function addMissingWakeup(id: string, operation: OperationRecord | undefined, deps: Deps): Promise<void> {
  const open = operation && !hasEnded(operation.status) ? operation : undefined
  const enqueued = open && { operation: open, jail: await deps.records.jailOf(open) }
  if (!enqueued || !hasSubject(enqueued)) return void (await deps.redis.zrem(deps.keys.wakeups, id))
  await deps.enqueue(enqueued)
  deps.log.info({ operation: id }, 'added a wake-up that was missing')
}

async function replaceLostJobs(deps: Deps): Promise<void> {
  const { redis, keys, records, log } = deps
  for (const status of ['queued', 'running'] as const) {
    let from = '-'
    for (;;) {
      const ids = await redis.zrangebylex(keys.operations('status', status), from, '+', 'LIMIT', 0, pageSize)
      for (const operation of await withoutJob(await records.operations(ids), deps))
        await replaceLostJob(operation, deps).catch((error) => log.warn({ err: error, operation: operation.id }, 'sweep'))
      if (ids.length < pageSize) break
      from = `(${ids.at(-1)}`
    }
  }
}

/** Those whose job is gone or ended a while ago, and whose wake-up is not on its way. */
async function withoutJob(operations: OperationRecord[], { redis, keys, timing }: Deps): Promise<OperationRecord[]> {
  const pipeline = redis.pipeline()
  for (const operation of operations)
    pipeline
      .zscore(keys.wakeups, operation.id)
      .hmget(keyOfJob(operation, lastJobOf(operation.kind), keys), 'timestamp', 'finishedOn')
  const answers = ((await pipeline.exec()) ?? []).map(([error, answer]) => {
    if (error) throw error
    return answer
  })
  return operations.filter(({ status }, i) => {
    const [wakesAt, [addedAt, finishedAt]] = [answers[2 * i], answers[2 * i + 1] as (string | null)[]]
    if (hasEnded(status) || wakesAt !== null) return false
    // The last report of one that has just finished may still be on its way.
    return !addedAt || (finishedAt && Date.now() - Number(finishedAt) >= timing.lost)
  })
}

async function replaceLostJob(operation: OperationRecord, deps: Deps): Promise<void> {
  const { keys, records, scripts, log, enqueue } = deps
  const jail = await records.jailOf(operation)
  if (!hasSubject({ operation, jail })) return cancelWithoutJail(operation, deps)
  const fault = await faultOf(operation, deps)
  const failedJobs = (operation.failedJobs ?? 0) + (fault === null ? 0 : 1)
  if (failedJobs >= mostFailedJobs) return giveUp(operation, jail, fault ?? '', deps)
  const key = keys.operation(operation.id)
  const next = { ...operation, wakeup: operation.wakeup + 1, failedJobs }
  const committed = await scripts.commit({
    unchanged: [[key, operation.revision]],
    commands: [
      ['HSET', key, 'wakeup', String(next.wakeup), 'failedJobs', String(failedJobs)],
      ['ZADD', keys.wakeups, String(Date.now()), operation.id],
    ],
    events: [['operation', operation.id, key]],
  })
  if (committed.type !== 'done') return
  await enqueue({ jail, operation: next })
  log.warn({ operation: operation.id, wakeup: next.wakeup }, 'replaced a job that was lost')
}

// By its key: a Queue for each would leave its listeners on the connection.
function keyOfJob({ id, host, batch, wakeup }: OperationRecord, name: JobName, keys: RedisKeys): string {
  const queue = `${keys.host(host)}:${queueName(host, queueOf(name, batch !== undefined))}`
  return `${queue}:${jobId(id, wakeup, name)}`
}

/** Why the job of an operation has failed; null when it has not, or is gone. Of a flow its first job knows best. */
async function faultOf(operation: OperationRecord, { redis, keys }: Deps): Promise<string | null> {
  const names = [firstJobOf(operation.kind), lastJobOf(operation.kind)]
  const reasons = await Promise.all(names.map((name) => redis.hget(keyOfJob(operation, name, keys), 'failedReason')))
  return reasons.find((reason) => reason !== null) ?? null
}

/** Its host says nothing of it, so the verdict is given here, as that host would give it. */
async function giveUp(operation: OperationRecord, jail: JailRecord | null, fault: string, deps: Deps): Promise<void> {
  const { id, host, kind } = operation
  const error = new ProvostError(
    'unreadable_job',
    `Its job has failed ${mostFailedJobs} times on host ${host}, which did not say why of the operation: ${fault}`,
    { hint: "See the log of the host's worker; its version may not fit the producer's. Then retry." },
  )
  const jailState = kind === 'provision' ? 'failed' : 'unchanged'
  if (await giveVerdict(operation, jail, { status: 'failed', error, jailState }, deps))
    deps.log.error({ operation: id, fault }, 'gave up an operation whose jobs fail')
}

/** Its jail was destroyed before it had a job, so that its host has nothing to say of it. */
async function cancelWithoutJail(operation: OperationRecord, deps: Deps): Promise<void> {
  const error = new ProvostError('cancelled', `Jail ${operation.jail} was destroyed before the operation began.`)
  if (await giveVerdict(operation, null, { status: 'cancelled', error, jailState: 'gone' }, deps))
    deps.log.warn({ operation: operation.id }, 'cancelled an operation whose jail is gone')
}

type Verdict = Pick<OperationReport, 'status' | 'jailState'> & { error: ProvostError }

/** Whether it was given. */
async function giveVerdict(
  operation: OperationRecord,
  jail: JailRecord | null,
  { status, error: { code, message, hint }, jailState }: Verdict,
  deps: Deps,
): Promise<boolean> {
  const { id, host, epoch, attempt, percent, step, steps } = operation
  const told = {
    ...{ host, operation: id, epoch, attempt, percent, step, steps, sequence: operation.sequence + 1 },
    ...{ at: new Date().toISOString(), status, error: { code, message, hint, step } },
  }
  const report: OperationReport | FillReport =
    operation.jail === null
      ? { ...told, type: 'fill', world: operation.world ?? '' }
      : { ...told, type: 'operation', jail: operation.jail, jailState, jid: jail?.jid ?? null }
  const change = applyOperationReport(report, operation, jail ?? undefined, deps.keys)
  return change !== undefined && (await deps.scripts.commit(change)).type === 'done'
}
