import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { HostNotice } from '#shared/job.ts'
import type { Consumer } from './consume-jobs.ts'

type ReadConsole = Extract<HostNotice, { type: 'read-console' }>

type Deps = {
  subscriber: Redis
  channel: string
  consumer: Pick<Consumer, 'cancel'>
  retryLeftovers(): Promise<void>
  answerConsole(notice: ReadConsole): Promise<void>
  log: Logger
}

/** Acts on what this host is asked for, at once. A cancel that is missed here is seen later by the flag on the operation. */
export async function followNotices({ subscriber, channel, consumer, retryLeftovers, answerConsole, log }: Deps): Promise<void> {
  async function act(message: string): Promise<void> {
    const notice = HostNotice.parse(JSON.parse(message))
    if (notice.type === 'cancel') await consumer.cancel(notice)
    else if (notice.type === 'read-console') await answerConsole(notice)
    else await retryLeftovers()
  }
  subscriber.on('message', (_channel, message) => {
    act(message).catch((error) => log.warn({ err: error, message }, 'a notice had no effect'))
  })
  await subscriber.subscribe(channel)
}
