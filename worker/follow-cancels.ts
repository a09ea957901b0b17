import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { CancelNotice } from '#shared/job.ts'
import type { Consumer } from './consume-jobs.ts'

/** Hears at once of operations to cancel. A notice that is missed is made up for by the flag on the operation. */
export async function followCancels(subscriber: Redis, channel: string, consumer: Consumer, log: Logger): Promise<void> {
  subscriber.on('message', (_channel, message) => {
    cancel(message, consumer).catch((error) => log.warn({ err: error, message }, 'a notice of a cancel had no effect'))
  })
  await subscriber.subscribe(channel)
}

async function cancel(message: string, consumer: Consumer): Promise<void> {
  const { job, name } = CancelNotice.parse(JSON.parse(message))
  await consumer.cancel(job, name)
}
