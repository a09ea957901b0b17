import { Redis, type RedisOptions } from 'ioredis'

// ioredis 6 speaks RESP3 and can shape replies in two ways; BullMQ and the code here read the older one.
type Legacy = RedisOptions & { replyMapping: 'legacy' }

/** Longer than any blocking read here lasts: what answers nothing for so long is gone, though nobody has closed the connection. */
const silentMs = 20_000

/**
 * A connection to `redis://`, `rediss://`, or, with Sentinel,
 * `redis+sentinel://[user:password@]HOST:PORT[,HOST:PORT…]/MASTER[/DB]`.
 */
export function connectRedis(url: string, options: RedisOptions = {}): Redis {
  const common: Legacy = {
    retryStrategy: (times) => Math.min(200 * times, 2_000),
    socketTimeout: silentMs,
    ...options,
    replyMapping: 'legacy',
  }
  if (!hasSentinel(url)) return new Redis(url, common)
  return new Redis(Object.assign(common, sentinelOptions(url)))
}

/** Whether a primary that is lost is replaced by one of its replicas. */
export function hasSentinel(url: string): boolean {
  return url.startsWith('redis+sentinel://')
}

/** A Sentinel or a Redis that does not even refuse must not hold up the search for the new primary. */
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
    // What was the primary when this connection was made is a replica now; 2: ask the new primary the same again.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
  }
}

/** Publishing, reading and adding must fail at once while Redis is away: the producer answers 503 instead of hanging. */
export const failFast = { enableOfflineQueue: false, maxRetriesPerRequest: 0 } as const satisfies RedisOptions

/** Blocking reads and workers wait until Redis is back. BullMQ wants `null` of an instance that it is given. */
export const waitForEver = { maxRetriesPerRequest: null } as const satisfies RedisOptions

/**
 * Waits for `work`, but no longer once Redis has been away for `ms`: who stops must not wait for what may never come back.
 * What was under way goes on after the next start.
 */
export async function unlessAway(redis: Redis, ms: number, work: Promise<unknown>): Promise<void> {
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
