import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { HostNotice } from '#shared/job.ts'
import type { Repeat } from '#shared/process/repeat.ts'
import type { Running } from '#shared/process/services.ts'
import type { Timing } from '#shared/process/timing.ts'
import type { Consumer } from './consume-jobs.ts'

type ReadConsole = Extract<HostNotice, { type: 'read-console' }>

type Deps = {
  subscriber: Redis
  channel: string
  consumer: Pick<Consumer, 'cancel'>
  retryLeftovers(): Promise<void>
  answerConsole(notice: ReadConsole): Promise<void>
  repeat: Repeat
  timing: Pick<Timing, 'heartbeat'>
  log: Logger
}

/**
 * Acts on what this host is asked for, at once. A cancel that is missed here is seen later by the flag on the operation. Subscribes
 * with every heartbeat: behind a connection that stays open there may be another Redis, which knows of no subscription, or none, which
 * only a command can notice.
 */
export async function followNotices(deps: Deps): Promise<Running> {
  const { subscriber, channel, consumer, retryLeftovers, answerConsole, repeat, timing, log } = deps

  async function act(message: string): Promise<void> {
    const notice = HostNotice.parse(JSON.parse(message))
    if (notice.type === 'cancel') await consumer.cancel(notice)
    else if (notice.type === 'read-console') await answerConsole(notice)
    else await retryLeftovers()
  }
  subscriber.on('message', (_channel, message) => {
    act(message).catch((error) => log.warn({ err: error, message }, 'a notice had no effect'))
  })
  const subscribing = repeat('follow-notices', timing.heartbeat, () => subscriber.subscribe(channel))
  await subscribing.now()
  // Nothing waits for a pass, which waits for Redis.
  return { name: subscribing.name, stop: subscribing.halt }
}
