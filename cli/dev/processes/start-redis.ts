import { setTimeout as pause } from 'node:timers/promises'
import { connectRedis } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import { type Started, startProcess } from './start-process.ts'

const pollMs = 20
const defaultPrefix = '{provost}'

/** What "accepted is never lost" asks of Redis, and nothing of it in memory only. */
export function startRedis(port: number, directory: string, logFile: string): Started {
  const settings = {
    bind: '127.0.0.1',
    port: String(port),
    dir: directory,
    appendonly: 'yes',
    appendfsync: 'always',
    'maxmemory-policy': 'noeviction',
    // Keeps records, whose fields are longer than 64 bytes, in half the memory.
    'hash-max-listpack-value': '2048',
    save: '',
    daemonize: 'no',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  return startProcess({ name: 'redis', program: 'redis-server', args, logFile })
}

/**
 * Settles when Redis answers: it reads its whole file first. What it still knows of heartbeats is of workers that have
 * ended, and would make their hosts look up before the new ones are.
 */
export async function redisAnswers(url: string, hosts: string[]): Promise<void> {
  const redis = connectRedis(url, { lazyConnect: true, retryStrategy: () => null, enableOfflineQueue: false })
  redis.on('error', () => {})
  for (;;) {
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
}
