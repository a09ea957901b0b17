import type { Redis, RedisOptions } from 'ioredis'
import { StrictRedis } from './transactions.ts'

// ioredis 6 speaks RESP3 and shapes replies in one of two ways; BullMQ and the code here expect the older one.
type Legacy = RedisOptions & { replyMapping: 'legacy' }

/** Longer than any blocking read here lasts: a Redis silent for so long is gone, even if the connection was never closed. */
const silentMs = 20_000

/**
 * Connects to `redis://`, `rediss://` or, with Sentinel,
 * `redis+sentinel://[user:password@]HOST:PORT[,HOST:PORT…]/MASTER[/DB]`.
 */
export function connectRedis(url: string, options: RedisOptions = {}): Redis {
  const common: Legacy = {
    retryStrategy: (times) => Math.min(200 * times, 2_000),
    socketTimeout: silentMs,
    ...options,
    replyMapping: 'legacy',
  }
  if (!hasSentinel(url)) return new StrictRedis(url, common)
  return new StrictRedis(Object.assign(common, sentinelOptions(url)))
}

/** Whether a replica takes over when the primary is lost. */
export function hasSentinel(url: string): boolean {
  return url.startsWith('redis+sentinel://')
}

/** A Sentinel or a Redis that does not even refuse a connection must not delay the search for the new primary. */
const sentinelSilentMs = 2_000

function sentinelOptions(url: string): RedisOptions {
  const match = /^redis\+sentinel:\/\/(?:([^:@/]*):([^@/]*)@)?([^/]+)\/([^/]+)(?:\/(\d+))?$/.exec(url)
  if (!match) throw new Error('Not a Sentinel address: redis+sentinel://HOST:PORT[,HOST:PORT…]/MASTER[/DB] is needed.')
  const [, username, password, hosts = '', name = '', db] = match
  return {
    name,
    sentinels: hosts.split(',').map((host) => {
      const [address = '', port = '26379'] = host.split(':')
      return { host: address, port: Number(port) }
    }),
    ...(username ? { username: decodeURIComponent(username) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {}),
    db: Number(db ?? 0),
    connectTimeout: sentinelSilentMs,
    sentinelCommandTimeout: sentinelSilentMs,
    // The primary of this connection has become a replica. 2: reconnect and send the command again.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
  }
}

/** Commands fail at once while Redis is away: the producer answers 503 instead of hanging. */
export const failFast = { enableOfflineQueue: false, maxRetriesPerRequest: 0 } as const satisfies RedisOptions

/** Blocking reads and workers wait until Redis is back. BullMQ requires `null` in a connection that is passed to it. */
export const waitForEver = { maxRetriesPerRequest: null } as const satisfies RedisOptions

/**
 * Waits for `work`, but not once Redis has been away for `ms`: a process that stops must not wait for a Redis that may never
 * come back. What was under way continues after the next start.
 */
export async function waitUnlessAway(redis: Redis, ms: number, work: Promise<unknown>): Promise<void> {
  const { promise: away, resolve } = Promise.withResolvers<void>()
  let timer: NodeJS.Timeout | undefined
  const onReady = () => {
    clearTimeout(timer)
    timer = undefined
  }
  const onClose = () => {
    timer ??= setTimeout(resolve, ms)
  }
  redis.on('ready', onReady).on('close', onClose)
  if (redis.status !== 'ready') onClose()
  await Promise.race([work, away]).finally(() => {
    onReady()
    redis.off('ready', onReady).off('close', onClose)
  })
}
