import type { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { v7 as uuid } from 'uuid'

const graceMs = 10_000

/**
 * Puts the jobs that a killed worker of this host was running back into their queue, at once instead of after BullMQ's stalled
 * check: this worker has the host's lock, so nobody works on them any more. Jobs that sleep are woken. Returns how many it put
 * back.
 */
export async function takeBackJobs(queues: Queue[], redis: Redis): Promise<number> {
  let taken = 0
  for (const queue of queues) {
    for (const job of await queue.getActive()) {
      const token = uuid()
      await redis.set(`${queue.toKey(job.id ?? '')}:lock`, token, 'PX', graceMs)
      await job.moveToWait(token)
      taken += 1
    }
    for (const job of await queue.getDelayed()) await job.promote().catch(() => undefined)
  }
  return taken
}
