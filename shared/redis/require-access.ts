import { ConfigError } from '../process/read-config.ts'
import { connectRedis } from './connect-redis.ts'

/** A Redis that does not answer in this time is waited for as one that is away. */
const askMs = 2_000
const refusal = /^(?:ERR )?(WRONGPASS|NOAUTH|invalid password|AUTH )/i

/**
 * Asks Redis, at the start of a service, whether it takes the user and the password of its address: waiting would change nothing.
 * @throws ConfigError when it does not. What it says names neither.
 */
export async function requireAccess(url: string): Promise<void> {
  const once = { retryStrategy: () => null, sentinelRetryStrategy: () => null, maxRetriesPerRequest: 0 }
  const connection = connectRedis(url, { ...once, lazyConnect: true, connectTimeout: askMs, socketTimeout: askMs })
  let why: string | undefined
  connection.on('error', ({ message }) => {
    why ??= refusal.exec(message)?.[1]
  })
  await connection.connect().catch(() => undefined)
  connection.disconnect()
  if (why) throw new ConfigError(`Redis refuses the user or the password of PROVOST_REDIS_URL (${why.toUpperCase().trim()}).`)
}
