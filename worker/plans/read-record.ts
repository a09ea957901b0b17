import type { Redis } from 'ioredis'
import type { JailJob, Job } from '#shared/job.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { OperationFacts, readFacts } from '#shared/redis/record-facts.ts'
import type { Recorded } from './recorded.ts'

/**
 * Binds an operation to its host. Returns false when it was moved first: who binds and who moves set the same key, which
 * must not be there yet. The same worker may bind the same epoch again. The key stays until the producer has applied the
 * operation's end, since until then the operation looks as if it could still be moved.
 */
export async function bindOperation(redis: Redis, keys: RedisKeys, job: JailJob): Promise<boolean> {
  const value = `bound ${job.epoch}`
  const before = await redis.set(keys.binding(job.host, job.operation, job.epoch), value, 'NX', 'GET')
  return before === null || before === value
}

/** Reads an operation's record, at a job's pickup and between its steps. */
export async function readRecorded(redis: Redis, keys: RedisKeys, job: Job): Promise<Recorded> {
  const [record] = await readFacts(redis, OperationFacts, [keys.operation(job.operation)])
  if (!record) return { cancelled: false, moved: false, ended: false, lost: true }
  const { cancelRequested, epoch, host, attempt, status, sequence } = record
  const moved = epoch > job.epoch && (job.kind === 'fill' || host !== job.host)
  const ended = attempt > job.attempt || ['succeeded', 'failed', 'cancelled'].includes(status)
  return { cancelled: cancelRequested === '1', moved, ended: ended && !moved, sequence }
}
