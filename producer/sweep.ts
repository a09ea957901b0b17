import { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import type { RedisKeys } from '#shared/keys.ts'
import { hasEnded } from '#shared/operation.ts'
import { jobId, queueName, queueOf } from '#shared/queues.ts'
import type { Accepted } from './admit.ts'
import { lastJobOf } from './enqueue.ts'
import type { OperationRecord, Records } from './records.ts'
import type { Scripts } from './scripts.ts'

type Deps = {
  redis: Redis
  keys: RedisKeys
  records: Records
  scripts: Scripts
  log: Logger
  enqueue(accepted: Accepted): Promise<void>
}

const wakeupsEveryMs = 1_000
/** How long after admission the producer that admitted is left to enqueue by itself. */
const enqueueGraceMs = 1_000
const lostEveryMs = 10_000
/** How long an operation may be without a job before that is a fault: its last report may still be on its way. */
const lostAfterMs = 10_000
const pageSize = 200

/**
 * Keeps records and queues in agreement. A wake-up that was recorded but not added (the producer died in between) is
 * added; an open operation whose job is gone or failed gets a new one. Any producer may do it, also all at once.
 */
export function startSweeper(deps: Deps) {
  const { log } = deps
  const timers = [
    every(wakeupsEveryMs, () => addMissingWakeups(deps)),
    every(lostEveryMs, async () => {
      await replaceLostJobs(deps)
      await dropExpired(deps)
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

async function addMissingWakeups({ redis, keys, records, log, enqueue }: Deps): Promise<void> {
  const ids = await redis.zrangebyscore(keys.wakeups, 0, Date.now() - enqueueGraceMs, 'LIMIT', 0, pageSize)
  for (const operation of await records.operations(ids)) {
    const jail = hasEnded(operation.status) ? undefined : await records.jail(operation.jail)
    if (!jail) {
      await redis.zrem(keys.wakeups, operation.id)
      continue
    }
    await enqueue({ jail, operation })
    log.info({ operation: operation.id }, 'added a wake-up that was missing')
  }
}

async function replaceLostJobs(deps: Deps): Promise<void> {
  const { redis, keys, records } = deps
  for (const status of ['queued', 'running'] as const) {
    let from = '-'
    for (;;) {
      const ids = await redis.zrangebylex(keys.operations('status', status), from, '+', 'LIMIT', 0, pageSize)
      for (const operation of await records.operations(ids)) await replaceLostJob(operation, deps)
      if (ids.length < pageSize) break
      from = `(${ids.at(-1)}`
    }
  }
}

async function replaceLostJob(operation: OperationRecord, { redis, keys, records, scripts, log, enqueue }: Deps): Promise<void> {
  if (hasEnded(operation.status) || (await redis.zscore(keys.wakeups, operation.id)) !== null) return
  const name = lastJobOf(operation.kind)
  const queue = new Queue(queueName(operation.host, queueOf(name)), {
    connection: redis,
    prefix: keys.host(operation.host),
    skipWaitingForReady: true,
    skipMetasUpdate: true,
  })
  const job = await queue.getJob(jobId(operation.id, operation.wakeup, name))
  const isOpen = job && !job.finishedOn
  if (isOpen || (job?.finishedOn && Date.now() - job.finishedOn < lostAfterMs)) return
  const jail = await records.jail(operation.jail)
  if (!jail) return
  const key = keys.operation(operation.id)
  const next = { ...operation, wakeup: operation.wakeup + 1 }
  const committed = await scripts.commit({
    unchanged: [[key, operation.revision]],
    commands: [
      ['HSET', key, 'wakeup', String(next.wakeup)],
      ['ZADD', keys.wakeups, String(Date.now()), operation.id],
    ],
    events: [['operation', operation.id, key]],
  })
  if (committed.type !== 'done') return
  await enqueue({ jail, operation: next })
  log.warn({ operation: operation.id, wakeup: next.wakeup }, 'replaced a job that was lost')
}

/** Ended operations expire by themselves; their places in the lists are taken out here. */
async function dropExpired({ redis, keys, records }: Deps): Promise<void> {
  const oldest = await redis.zrangebylex(keys.operations(), '-', '+', 'LIMIT', 0, pageSize)
  const kept = new Set((await records.operations(oldest)).map(({ id }) => id))
  const expired = oldest.filter((id) => !kept.has(id))
  if (expired.length === 0) return
  const statuses = ['succeeded', 'failed', 'cancelled'] as const
  await redis.zrem(keys.operations(), ...expired)
  for (const status of statuses) await redis.zrem(keys.operations('status', status), ...expired)
}
