import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { HostNotice, NoticeEnvelope } from '#shared/job.ts'
import type { Repeat } from '#shared/process/repeat.ts'
import type { Running } from '#shared/process/services.ts'
import type { Timing } from '#shared/process/timing.ts'
import { fleetTimeMs } from '#shared/redis/fleet-clock.ts'
import { isSigned, type PublicKeys } from '#shared/signing/signatures.ts'
import type { Identity } from '../identity/identity.ts'
import type { Consumer } from './consume-jobs.ts'

type ReadConsole = Extract<HostNotice, { type: 'read-console' }>

type Deps = {
  subscriber: Redis
  channel: string
  hostId: string
  /** What this host joined the fleet with; without it notices need no signature. */
  identity: Identity | undefined
  /** Counts what is refused. */
  refused(why: string, data: unknown): void
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
  const { subscriber, channel, hostId, identity, refused, consumer, retryLeftovers, answerConsole, repeat, timing, log } = deps

  function isFromProducer(data: unknown, signers: PublicKeys): boolean {
    const envelope = isSigned('notice', data, signers) ? NoticeEnvelope.safeParse(data).data : undefined
    return envelope?.host === hostId && Date.parse(envelope.expiresAt) > fleetTimeMs()
  }

  async function act(message: string): Promise<void> {
    const data: unknown = JSON.parse(message)
    if (identity && !isFromProducer(data, identity.signers))
      return refused('the notice does not bear the signature of a producer of this fleet', data)
    const notice = HostNotice.parse(data)
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
