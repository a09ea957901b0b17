import type { Redis } from 'ioredis'
import type { JailJob, Job } from '#shared/job.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { OperationFacts, readFacts } from '#shared/redis/record-facts.ts'
import type { Recorded } from './not-wanted.ts'

/**
 * Binds an operation to its host, unless whoever moves it came first: both set one key that is not there yet, so only one
 * of them can. The same worker may bind the same epoch again. It stays bound until the producer has applied its end: until
 * then it looks as if it could still be moved.
 */
export async function bindOperation(redis: Redis, keys: RedisKeys, job: JailJob): Promise<boolean> {
  const value = `bound ${job.epoch}`
  const before = await redis.set(keys.binding(job.host, job.operation, job.epoch), value, 'NX', 'GET')
  return before === null || before === value
}

/** Read at a job's pickup and between its steps. */
export async function readRecorded(redis: Redis, keys: RedisKeys, job: Job): Promise<Recorded> {
  const [record] = await readFacts(redis, OperationFacts, [keys.operation(job.operation)])
  if (!record) return { cancelled: false, moved: false, ended: false, lost: true }
  const { cancelRequested, epoch, host, attempt, status, sequence } = record
  const moved = epoch > job.epoch && (job.kind === 'fill' || host !== job.host)
  const ended = attempt > job.attempt || ['succeeded', 'failed', 'cancelled'].includes(status)
  return { cancelled: cancelRequested === '1', moved, ended: ended && !moved, sequence }
}
