import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connectRedis } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import { apiKey } from '../../../support/fleets/client.ts'
import { enrolOnDisk, secretsIn } from '../../../support/fleets/enrol-on-disk.ts'
import { service } from '../../../support/fleets/process-fleet.ts'
import { freePort } from '../../../support/free-port.ts'
import { makeProcesses } from '../../../support/processes.ts'
import { redisServer } from '../../../support/redis/redis-server.ts'
import { startTcpProxy, type TcpProxy } from '../../../support/redis/tcp-proxy.ts'
import type { Bug } from '../faults/bugs.ts'
import { hostNames, producerNames } from '../schedule.ts'
import { compileCache } from './compile-cache.ts'
import { now } from './disk-host.ts'
import { type Control, hostFiles } from './host-files.ts'

export type ChaosFleet = Awaited<ReturnType<typeof openFleet>>

const prefix = '{chaos}'
const loopback = '127.0.0.1'
/** All waiting times of producers and workers, as a part of what they are in real fleets. */
const timeScale = '0.1'
/** So few that addresses given back are soon given out again. */
const pool = { name: 'main', cidr: '10.77.0.0/28', gateway: '10.77.0.1', exclude: ['10.77.0.8-10.77.0.14'] }

/** A Redis, producers and hosts, each a process of its own; what each says to Redis goes through a proxy of its own. */
export async function openFleet(directory: string, bug?: Bug) {
  const processes = makeProcesses(directory)
  const redisPort = await freePort()
  const redisDirectory = join(directory, 'redis')
  await mkdir(redisDirectory)
  processes.define('redis', redisServer(redisPort, redisDirectory))
  processes.start('redis')
  const redis = connectRedis(`redis://${loopback}:${redisPort}`, { maxRetriesPerRequest: null, retryStrategy: () => 50 })
  redis.on('error', () => undefined)
  await redis.ping()

  const proxies = new Map<string, TcpProxy>(
    await Promise.all(
      [...hostNames, ...producerNames].map(
        async (name) => [name, await startTcpProxy(loopback, { host: loopback, port: redisPort })] as const,
      ),
    ),
  )
  const proxyOf = (name: string) => proxies.get(name) as TcpProxy
  const envOf = (name: string) => ({
    PATH: process.env['PATH'] ?? '',
    NODE_COMPILE_CACHE: compileCache,
    PROVOST_REDIS_URL: `redis://${loopback}:${proxyOf(name).port}`,
    PROVOST_REDIS_PREFIX: prefix,
    PROVOST_TIME_SCALE: timeScale,
    PROVOST_SECRETS: secretsIn(directory),
  })

  const urls = new Map<string, string>()
  for (const name of producerNames) {
    const listen = `${loopback}:${await freePort()}`
    urls.set(name, `http://${listen}`)
    const env = { ...envOf(name), PROVOST_LISTEN: listen, PROVOST_API_KEY: apiKey }
    const careless = { program: process.execPath, args: [join(import.meta.dirname, 'careless-producer.ts')], env }
    processes.define(name, bug === 'lease freed too early' ? careless : service('producer', env))
  }

  for (const world of ['tiny', 'other']) {
    await mkdir(join(directory, world, 'etc'), { recursive: true })
    await writeFile(join(directory, world, 'etc', 'motd'), world)
  }
  const rootOf = (host: string) => join(directory, host)
  const filesOf = (host: string) => hostFiles(rootOf(host))
  for (const host of hostNames) {
    mkdirSync(rootOf(host))
    filesOf(host).boot(now())
    const config = join(directory, `${host}.yaml`)
    writeFileSync(config, JSON.stringify({ ...configOf(host, rootOf(host), directory), identity: enrolOnDisk(directory, host) }))
    const args = [join(import.meta.dirname, 'worker.ts'), '--config', config, ...(bug ? ['--bug', bug] : [])]
    processes.define(host, { program: process.execPath, args, env: envOf(host) })
  }
  processes.startAll()

  return {
    directory,
    redis,
    keys: redisKeys(prefix),
    processes,
    proxyOf,
    filesOf,
    urls: [...urls.values()],
    setControl: (host: string, control: Control) => filesOf(host).setControl(control),
    rebootDisk: (host: string) => filesOf(host).boot(now()),
    async close(): Promise<void> {
      redis.disconnect()
      for (const name of [...hostNames, ...producerNames]) processes.signal(name, 'SIGCONT')
      await processes.killAll()
      await Promise.all([...proxies.values()].map((proxy) => proxy.close()))
    },
  }
}

function configOf(host: string, root: string, directory: string) {
  return {
    host,
    runtime: 'linux',
    root,
    network: { mode: 'vnet', bridge: 'unused', pools: [pool] },
    capacity: { jails: 5, memory: '1G', cpu: 10, fills: 1, builds: 2, starts: 2 },
    defaults: { memory: '64M', cpu: 0.1, processes: 100 },
    worlds: [
      { name: 'tiny', method: 'tree', path: join(directory, 'tiny'), prefill: true },
      { name: 'other', method: 'tree', path: join(directory, 'other') },
    ],
  }
}
