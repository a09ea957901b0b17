import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { layoutOf } from '../../worker/host/linux/layout.ts'
import { type Client, makeClient } from './client.ts'
import { freePort } from './free-port.ts'
import { type HostSnapshot, hostSnapshot } from './host-snapshot.ts'
import { until } from './until.ts'

type Settings = {
  /** Laid over the worker's YAML. */
  worker?: Record<string, unknown>
  worlds?: object[]
  /** Where the host keeps its jails; a directory of its own otherwise. */
  root?: string
}

export type RealFleet = Client & Awaited<ReturnType<typeof startRealFleet>>

const main = (service: string) => join(import.meta.dirname, '..', '..', service, 'main.ts')

/** A producer and one worker as processes of their own, which make real jails on this machine. */
export async function startRealFleet(redis: { url: string; prefix: string }, settings: Settings = {}) {
  const state = await mkdtemp(join(tmpdir(), 'provost-fleet-'))
  const root = settings.root ?? join(state, 'host')
  const bin = join(state, 'bin')
  await mkdir(bin)
  const tag = redis.prefix.replace(/[^0-9a-f]/g, '').slice(-6)
  const bridge = `pvt${tag}`
  const third = Number.parseInt(tag.slice(0, 2), 16)
  const config = {
    host: 'real1',
    root,
    // Programs in `bin` come first: a test puts one there to hold a command up.
    commandPath: `${bin}:/sbin:/bin:/usr/sbin:/usr/bin`,
    network: { mode: 'vnet', bridge, pools: [{ name: 'test', cidr: `10.213.${third}.0/24`, gateway: `10.213.${third}.1` }] },
    capacity: { jails: 100, memory: '64G', cpu: 100 },
    defaults: { memory: '64M', cpu: 0.2, processes: 50 },
    worlds: [{ name: 'busybox', method: 'busybox', prefill: true }, ...(settings.worlds ?? [])],
    ...settings.worker,
  }
  const file = join(state, 'worker.yaml')
  await writeFile(file, stringify(config))

  const port = await freePort()
  const apiKey = 'a-key-for-tests-only'
  const env = {
    PATH: process.env['PATH'],
    PROVOST_REDIS_URL: redis.url,
    PROVOST_REDIS_PREFIX: redis.prefix,
    PROVOST_LISTEN: `127.0.0.1:${port}`,
    PROVOST_API_KEY: apiKey,
    PROVOST_CONFIG: file,
  }
  const running = new Map<string, ChildProcess>()
  const logOf = (service: string) => join(state, `${service}.log`)

  async function start(service: 'producer' | 'worker'): Promise<ChildProcess> {
    const child = spawn(process.execPath, [main(service)], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const log = createWriteStream(logOf(service), { flags: 'a' })
    child.stdout?.pipe(log, { end: false })
    child.stderr?.pipe(log, { end: false })
    running.set(service, child)
    return child
  }

  async function end(service: 'producer' | 'worker', signal: NodeJS.Signals): Promise<number | null> {
    const child = running.get(service)
    running.delete(service)
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const exited = once(child, 'exit')
    child.kill(signal)
    return (await exited)[0]
  }

  const client = makeClient(`http://127.0.0.1:${port}`, apiKey)
  const isUp = async (prefilled: boolean) => {
    const { body } = await client.call('GET', '/v1/hosts/real1')
    const worlds: { prefill: boolean; state: string }[] = body?.worlds ?? []
    return body?.state === 'up' && (!prefilled || worlds.every((world) => !world.prefill || world.state === 'ready'))
  }
  const hostIsUp = (prefilled = true) => until('the host to be up', () => isUp(prefilled).catch(() => false))

  await start('producer')
  await start('worker')
  await hostIsUp()

  return {
    ...client,
    state,
    root,
    bridge,
    config,
    start,
    /** Ends a service; gives its exit code. */
    end,
    hostIsUp,
    log: (service: string) => readFile(logOf(service), 'utf8'),
    workerPid: () => running.get('worker')?.pid,
    /** Puts a program before the real one: it waits for the file `go` beside it, then becomes the real one. */
    async holdUp(program: string, path: string, when = '*'): Promise<{ reached(): Promise<unknown>; release(): Promise<void> }> {
      const [reached, go] = [join(bin, `${program}.reached`), join(bin, `${program}.go`)]
      const script = `#!/bin/sh
case " $* " in ${when})
  : > ${reached}
  while [ ! -e ${go} ]; do sleep 0.05; done ;;
esac
exec ${path} "$@"
`
      await writeFile(join(bin, program), script, { mode: 0o755 })
      return {
        reached: () =>
          until(`${program} to be held up`, () =>
            readFile(reached).then(
              () => true,
              () => false,
            ),
          ),
        release: () => writeFile(go, ''),
      }
    },
    /** What this fleet has on the machine: mounts, links, namespaces, cgroups, directories, processes. */
    snapshot(): HostSnapshot {
      const { runDirectory, cgroupParent } = layoutOf(root)
      const marks = [root, runDirectory, cgroupParent, bridge]
      return hostSnapshot([root], (line) => marks.some((mark) => line.includes(mark)) && !/main\.ts|worlds|journal/.test(line))
    },
    async stop(): Promise<void> {
      if (running.has('worker')) {
        const { body } = await client.call('GET', '/v1/jails?limit=500')
        for (const { name } of body?.items ?? []) await client.ended(await client.call('DELETE', `/v1/jails/${name}`))
      }
      await end('worker', 'SIGTERM')
      await end('producer', 'SIGTERM')
      await rm(state, { recursive: true, force: true })
    },
  }
}
