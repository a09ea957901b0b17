import type { Redis } from 'ioredis'
import type { JailJob, Job } from '#shared/job.ts'
import type { RedisKeys } from '#shared/keys.ts'

/**
 * Binds an operation to its host, unless whoever moves it came first: both set one key that is not there yet, so only one
 * of them can. The same worker may bind the same epoch again.
 */
export async function bindOperation(redis: Redis, keys: RedisKeys, job: JailJob): Promise<boolean> {
  const value = `bound ${job.epoch}`
  const before = await redis.set(keys.binding(job.host, job.operation, job.epoch), value, 'NX', 'GET')
  return before === null || before === value
}

/** An operation that has ended cannot be moved, so nothing needs to say that it is bound. */
export async function unbindOperation(redis: Redis, keys: RedisKeys, job: JailJob): Promise<void> {
  await redis.del(keys.binding(job.host, job.operation, job.epoch))
}

/** How an operation's record stands, beside its job. */
export type Standing = {
  /** The durable flag of a cancel. */
  cancelled: boolean
  /** Its record is of a later epoch than the job and, where it is about a jail, of another host. */
  moved: boolean
}

/** Read at a job's pickup and between its steps. */
export async function readStanding(redis: Redis, keys: RedisKeys, job: Job): Promise<Standing> {
  const [cancelRequested, epoch, host] = await redis.hmget(keys.operation(job.operation), 'cancelRequested', 'epoch', 'host')
  const isLater = Number(epoch) > job.epoch
  return { cancelled: cancelRequested === '1', moved: isLater && (job.kind === 'fill' || host !== job.host) }
}
