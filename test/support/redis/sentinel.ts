import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from '../free-port.ts'
import { makeProcesses } from '../processes.ts'
import { until } from '../until.ts'
import { durable, redisServer } from './redis-server.ts'

type Server = { port: number; process: ChildProcess }

export type Sentinel = Awaited<ReturnType<typeof startSentinel>>

const master = 'main'
const quorum = 2
const sync = ['--repl-diskless-sync-delay', '0']

/** A primary and two replicas, watched by three Sentinels, all real and on loopback. A primary is missed after a second. */
export async function startSentinel() {
  const directory = await mkdtemp(join(tmpdir(), 'provost-sentinel-'))
  const processes = makeProcesses(directory)

  async function startServer(primary?: number): Promise<Server> {
    const port = await freePort()
    const replica = primary === undefined ? [] : ['--replicaof', '127.0.0.1', `${primary}`]
    const files = ['--appenddirname', `aof-${port}`, '--dbfilename', `${port}.rdb`]
    processes.define(`redis-${port}`, redisServer(port, directory, [...files, ...durable, ...sync, ...replica]))
    return { port, process: processes.start(`redis-${port}`) }
  }

  async function startWatcher(primary: number): Promise<number> {
    const port = await freePort()
    const file = join(directory, `sentinel-${port}.conf`)
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${directory}`,
      `sentinel monitor ${master} 127.0.0.1 ${primary} ${quorum}`,
      `sentinel down-after-milliseconds ${master} 1000`,
      `sentinel failover-timeout ${master} 5000`,
    ]
    await writeFile(file, `${lines.join('\n')}\n`)
    processes.define(`sentinel-${port}`, { program: 'redis-server', args: [file, '--sentinel'] })
    processes.start(`sentinel-${port}`)
    return port
  }

  async function stop(): Promise<void> {
    await processes.killAll()
    await rm(directory, { recursive: true, force: true })
  }

  async function startAll() {
    const primary = await startServer()
    const servers = [primary, await startServer(primary.port), await startServer(primary.port)]
    await until('the replicas to follow', async () => {
      const info = await ask(primary.port, (redis) => redis.info('replication'))
      return info.match(/state=online/g)?.length === 2
    })
    const watchers: number[] = []
    for (let count = 0; count < 3; count += 1) watchers.push(await startWatcher(primary.port))
    for (const watcher of watchers)
      await until('the Sentinels to know each other', async () => {
        const facts = await ask(watcher, (redis) => redis.call('SENTINEL', 'MASTER', master) as Promise<string[]>)
        const fact = (name: string) => facts[facts.indexOf(name) + 1]
        return fact('num-slaves') === '2' && fact('num-other-sentinels') === '2'
      })
    return { servers, watchers }
  }

  const { servers, watchers } = await startAll().catch(async (error) => {
    await stop()
    throw error
  })

  /** The server that Sentinel says is the primary, once it says so of one that runs. */
  async function primary(): Promise<Server> {
    const [, port] = await ask(
      watchers[0] ?? 0,
      (redis) => redis.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', master) as Promise<string[]>,
    )
    return servers.find((server) => server.port === Number(port)) as Server
  }

  return {
    url: `redis+sentinel://${watchers.map((port) => `127.0.0.1:${port}`).join(',')}/${master}`,
    primary,
    async replicas(): Promise<Server[]> {
      const { port } = await primary()
      return servers.filter((server) => server.port !== port)
    },
    /** Makes a replica the primary while all are well, and the old primary a replica. */
    async failOver(): Promise<void> {
      const before = await primary()
      await ask(watchers[0] ?? 0, (redis) => redis.call('SENTINEL', 'FAILOVER', master))
      await until('another primary', async () => (await primary()).port !== before.port)
    },
    stop,
  }
}

async function ask<T>(port: number, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({ port, replyMapping: 'legacy', enableReadyCheck: false })
  redis.on('error', () => undefined)
  return question(redis).finally(() => redis.disconnect())
}
