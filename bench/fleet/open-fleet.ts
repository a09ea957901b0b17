import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Jail } from '#shared/jail.ts'
import type { Operation } from '#shared/operation.ts'
import { standardTiming } from '#shared/process/timing.ts'
import { connectRedis } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import { findFreePort } from '../../cli/dev/processes/free-port.ts'
import { endProcess } from '../../cli/dev/processes/process-record.ts'
import { startProcess } from '../../cli/dev/processes/start-process.ts'
import { redisAnswers, startRedis } from '../../cli/dev/processes/start-redis.ts'
import { hostReport, writeBeat, writeHost } from '../../test/support/hosts/write-host.ts'
import { until } from '../../test/support/until.ts'
import { ask } from './ask.ts'

const key = 'a-key-for-the-bench-only'
const patienceMs = 20_000
const beatsAtOnce = 30

export type Admitted = { jail: Jail; operation: Operation }
export type BenchFleet = Awaited<ReturnType<typeof openFleet>>

/** A Redis, a producer, each a process of its own, and `hosts` hosts of which there are only what their workers would write. */
export async function openFleet(directory: string, name: string, hosts: number) {
  const state = join(directory, name)
  mkdirSync(state, { recursive: true })
  const redisPort = await findFreePort(process.pid)
  const server = startRedis(redisPort, state, join(state, 'redis.log'))
  const redisUrl = `redis://127.0.0.1:${redisPort}`
  await redisAnswers(redisUrl, [])
  const redis = connectRedis(redisUrl)
  const keys = redisKeys('{provost}')

  const ids = Array.from({ length: hosts }, (_, i) => `host${String(i).padStart(4, '0')}`)
  for (const [i, id] of ids.entries()) await writeHost(redis, keys, hostReport(id, hostOf(i, hosts)))
  let next = 0
  const beats = setInterval(
    () => {
      for (let i = 0; i < Math.ceil(hosts / beatsAtOnce); i += 1) void writeBeat(redis, keys, ids[next++ % hosts] ?? '')
    },
    standardTiming.heartbeat / beatsAtOnce / 2,
  )

  const port = await findFreePort(process.pid + 1)
  const url = `http://127.0.0.1:${port}`
  const producer = startProcess({
    name: 'producer',
    program: process.execPath,
    args: [new URL('../../producer/main.ts', import.meta.url).pathname],
    env: {
      PROVOST_REDIS_URL: redisUrl,
      PROVOST_LISTEN: `127.0.0.1:${port}`,
      PROVOST_API_KEY: key,
      PROVOST_LOG_LEVEL: 'warn',
    },
    logFile: join(state, 'producer.log'),
  })
  await until(`a producer; ${producer.logFile} says more`, async () => (await fetch(`${url}/readyz`).catch(() => undefined))?.ok)

  let jails = 0
  return {
    ids,
    redis,
    redisUrl,
    keys,
    url,
    key,
    producerPid: producer.record.pid,
    ask: (method: string, path: string, body?: object) => ask(`${url}${path}`, key, method, body),
    /** Admits one more jail. Names rise. */
    async admit(): Promise<Admitted> {
      const answer = await ask(`${url}/v1/jails`, key, 'POST', { name: jailName(jails++), client: 'acme', world: 'tiny' })
      if (answer.status !== 202) throw new Error(JSON.stringify(answer.body))
      return answer.body as Admitted
    },
    usedMemory: async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]),
    async close(): Promise<void> {
      clearInterval(beats)
      redis.disconnect()
      await endProcess(producer.record, patienceMs)
      await endProcess(server.record, patienceMs)
    },
  }
}

export const jailName = (number: number) => `j${String(number).padStart(7, '0')}`

/** Room for all jails of the bench, on one host as on many. */
function hostOf(place: number, hosts: number) {
  const cidr = hosts === 1 ? '10.0.0.0/8' : `10.${place >> 8}.${place & 255}.0/24`
  return {
    pools: [{ name: 'main', cidr, exclude: [] }],
    capacity: { jails: 1_000_000, memory: 2 ** 50, cpu: 1_000_000, fills: 1, builds: 2, starts: 2 },
  }
}
