import { setTimeout as pause } from 'node:timers/promises'
import { connectRedis } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import { StartFailed } from '../end-previous-start.ts'
import { type Started, startProcess } from './start-process.ts'

const pollMs = 20
/** A file of gigabytes is read in minutes. */
const answersWithinMs = 600_000
const defaultPrefix = '{provost}'

/** Starts a Redis with the settings that keep every accepted request: each write is on disk before it is answered. */
export function startRedis(port: number, directory: string, logFile: string): Started {
  const settings = {
    bind: '127.0.0.1',
    port: String(port),
    dir: directory,
    appendonly: 'yes',
    appendfsync: 'always',
    'maxmemory-policy': 'noeviction',
    // Halves the memory of records, whose fields are longer than the default of 64 bytes.
    'hash-max-listpack-value': '2048',
    save: '',
    daemonize: 'no',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  return startProcess({ name: 'redis', program: 'redis-server', args, logFile })
}

/**
 * Waits until Redis answers; it first reads its whole file. Removes the heartbeats of `hosts`: they are of ended workers, and
 * their hosts would look up before the new workers are. @throws StartFailed when it takes too long.
 */
export async function awaitRedis(url: string, hosts: string[], withinMs = answersWithinMs): Promise<void> {
  const redis = connectRedis(url, { lazyConnect: true, retryStrategy: () => null, enableOfflineQueue: false })
  redis.on('error', () => {})
  const giveUp = AbortSignal.timeout(withinMs)
  giveUp.addEventListener('abort', () => redis.disconnect())
  while (!giveUp.aborted) {
    try {
      await redis.connect()
      await redis.ping()
      if (hosts.length > 0) await redis.del(...hosts.map(redisKeys(defaultPrefix).hostAlive))
      redis.disconnect()
      return
    } catch {
      redis.disconnect()
      await pause(pollMs)
    }
  }
  throw new StartFailed(`Redis on ${url} did not answer within ${withinMs / 1000} s.`)
}
