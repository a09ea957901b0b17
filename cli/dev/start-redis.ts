import { setTimeout as pause } from 'node:timers/promises'
import { connectRedis } from '#shared/redis.ts'
import { type Started, startProcess } from './start-process.ts'

const pollMs = 20

/** What "accepted is never lost" asks of Redis, and nothing of it in memory only. */
export function startRedis(port: number, directory: string, logFile: string): Started {
  const settings = {
    bind: '127.0.0.1',
    port: String(port),
    dir: directory,
    appendonly: 'yes',
    appendfsync: 'always',
    'maxmemory-policy': 'noeviction',
    save: '',
    daemonize: 'no',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  return startProcess({ name: 'redis', program: 'redis-server', args, logFile })
}

/** Settles when Redis answers: it reads its whole file first. */
export async function redisAnswers(url: string): Promise<void> {
  const redis = connectRedis(url, { lazyConnect: true, retryStrategy: () => null, enableOfflineQueue: false })
  redis.on('error', () => {})
  for (;;) {
    try {
      await redis.connect()
      await redis.ping()
      redis.disconnect()
      return
    } catch {
      redis.disconnect()
      await pause(pollMs)
    }
  }
}
