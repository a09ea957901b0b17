import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Jail } from '#shared/jail.ts'
import type { Operation } from '#shared/operation.ts'
import { standardTiming } from '#shared/process/timing.ts'
import { connectRedis } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import { hostReport, writeBeat, writeHost } from '../../test/support/hosts/write-host.ts'
import { ask } from './ask.ts'
import { openProducer, openRedis } from './open-services.ts'

const beatsAtOnce = 30

export type Admitted = { jail: Jail; operation: Operation }
export type BenchFleet = Awaited<ReturnType<typeof openFleet>>

/** Starts a Redis and a producer as separate processes, and writes what the workers of `hosts` hosts would write. */
export async function openFleet(directory: string, name: string, hosts: number) {
  const state = join(directory, name)
  mkdirSync(state, { recursive: true })
  const server = await openRedis(state)
  const redis = connectRedis(server.url)
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

  const { url, key, pid, stop } = await openProducer(server.url, state)
  let jails = 0
  return {
    ids,
    redis,
    redisUrl: server.url,
    keys,
    url,
    key,
    producerPid: pid,
    ask: (method: string, path: string, body?: object) => ask(`${url}${path}`, key, method, body),
    /** Admits one more jail; its name is the next one. */
    async admit(): Promise<Admitted> {
      const answer = await ask(`${url}/v1/jails`, key, 'POST', { name: jailName(jails++), client: 'acme', world: 'tiny' })
      if (answer.status !== 202) throw new Error(JSON.stringify(answer.body))
      return answer.body as Admitted
    },
    usedMemory: async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]),
    async close(): Promise<void> {
      clearInterval(beats)
      redis.disconnect()
      await stop()
      await server.stop()
    },
  }
}

export const jailName = (number: number) => `j${String(number).padStart(7, '0')}`

/** The facts of a host: room for all jails of the bench, whether there is one host or many. */
function hostOf(place: number, hosts: number) {
  const cidr = hosts === 1 ? '10.0.0.0/8' : `10.${place >> 8}.${place & 255}.0/24`
  return {
    pools: [{ name: 'main', cidr, exclude: [] }],
    capacity: { jails: 1_000_000, memory: 2 ** 50, cpu: 1_000_000, fills: 1, builds: 2, starts: 2 },
  }
}
