import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { CancelNotice } from '#shared/job.ts'
import type { Consumer } from './consume-jobs.ts'

/** Hears at once of operations to cancel. A notice that is missed is made up for by the flag on the operation. */
export async function followCancels(subscriber: Redis, channel: string, consumer: Consumer, log: Logger): Promise<void> {
  subscriber.on('message', (_channel, message) => {
    const notice = CancelNotice.safeParse(JSON.parse(message))
    if (!notice.success) return log.warn({ message }, 'a notice of a cancel that cannot be read')
    void consumer.cancel(notice.data.job, notice.data.name)
  })
  await subscriber.subscribe(channel)
}
