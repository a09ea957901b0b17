import type { Redis } from 'ioredis'
import type { Job } from '#shared/job.ts'
import type { RedisKeys } from '#shared/keys.ts'

/**
 * Binds an operation to its host, unless whoever moves it came first: both set one key that is not there yet, so only one
 * of them can. The same worker may bind the same epoch again.
 */
export async function bindOperation(redis: Redis, keys: RedisKeys, job: Job): Promise<boolean> {
  const value = `bound ${job.epoch}`
  const before = await redis.set(keys.binding(job.host, job.operation, job.epoch), value, 'NX', 'GET')
  return before === null || before === value
}

/** An operation that has ended cannot be moved, so nothing needs to say that it is bound. */
export async function unbindOperation(redis: Redis, keys: RedisKeys, job: Job): Promise<void> {
  await redis.del(keys.binding(job.host, job.operation, job.epoch))
}

/** The durable flag of a cancel, on the operation's record; read between steps. */
export async function isCancelled(redis: Redis, keys: RedisKeys, operation: string): Promise<boolean> {
  return (await redis.hget(keys.operation(operation), 'cancelRequested')) === '1'
}
