import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { HostNotice } from '#shared/job.ts'
import type { Consumer } from './consume-jobs.ts'

type Deps = {
  subscriber: Redis
  channel: string
  consumer: Pick<Consumer, 'cancel'>
  retryLeftovers(): Promise<void>
  log: Logger
}

/** Hears at once of what this host is asked for. A cancel that is missed is made up for by the flag on the operation. */
export async function followNotices({ subscriber, channel, consumer, retryLeftovers, log }: Deps): Promise<void> {
  async function heed(message: string): Promise<void> {
    const notice = HostNotice.parse(JSON.parse(message))
    if (notice.type === 'cancel') await consumer.cancel(notice)
    else await retryLeftovers()
  }
  subscriber.on('message', (_channel, message) => {
    heed(message).catch((error) => log.warn({ err: error, message }, 'a notice had no effect'))
  })
  await subscriber.subscribe(channel)
}
