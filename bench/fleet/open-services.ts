import { join } from 'node:path'
import { findFreePort } from '../../cli/dev/processes/free-port.ts'
import { endProcess } from '../../cli/dev/processes/process-record.ts'
import { startService } from '../../cli/dev/processes/start-process.ts'
import { awaitRedis, startRedis } from '../../cli/dev/processes/start-redis.ts'
import { until } from '../../test/support/until.ts'

const key = 'a-key-for-the-bench-only'
const patienceMs = 30_000

/** Starts a Redis with its files in `directory`. */
export async function openRedis(directory: string) {
  const port = await findFreePort(process.pid)
  const url = `redis://127.0.0.1:${port}`
  const server = startRedis(port, directory, join(directory, 'redis.log'))
  await awaitRedis(url, [])
  return { url, stop: () => endProcess(server.record, patienceMs) }
}

/** Starts a producer with its log in `directory`, and waits until it is ready. */
export async function openProducer(redisUrl: string, directory: string) {
  const port = await findFreePort(process.pid + 1)
  const url = `http://127.0.0.1:${port}`
  const listen = `127.0.0.1:${port}`
  const env = {
    PROVOST_REDIS_URL: redisUrl,
    PROVOST_LISTEN: listen,
    PROVOST_API_KEY: key,
    PROVOST_LOG_LEVEL: 'warn',
    PROVOST_SECRETS: join(directory, 'secrets'),
  }
  const { record, logFile } = startService('producer', { name: 'producer', env, logFile: join(directory, 'producer.log') })
  await until(`a producer; ${logFile} says more`, async () => (await fetch(`${url}/readyz`).catch(() => undefined))?.ok)
  return { url, key, pid: record.pid, stop: () => endProcess(record, patienceMs) }
}
