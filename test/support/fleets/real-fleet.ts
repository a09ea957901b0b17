import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import { holdUp } from '../hosts/hold-up.ts'
import { realHost } from '../hosts/real-host.ts'
import { until } from '../until.ts'
import { type Client, makeClient } from './client.ts'
import { type Service, serviceProcesses } from './processes.ts'

type Settings = {
  /** Laid over the worker's YAML. */
  worker?: Record<string, unknown>
  worlds?: object[]
  /** Where the host keeps its jails; a directory of its own otherwise. */
  root?: string
  /** How fast waits are, as `PROVOST_TIME_SCALE`. */
  timeScale?: number
}

export type RealFleet = Client & Awaited<ReturnType<typeof startRealFleet>>

/** A producer and one worker as processes of their own, which make real jails on this machine. */
export async function startRealFleet(redis: { url: string; prefix: string }, settings: Settings = {}) {
  const state = await mkdtemp(join(tmpdir(), 'provost-fleet-'))
  const tag = redis.prefix.replace(/[^0-9a-f]/g, '').slice(-6)
  const { bin, root, bridge, config, file, snapshot } = await realHost({
    host: 'real1',
    directory: state,
    bridge: `pvt${tag}`,
    network: `10.213.${Number.parseInt(tag.slice(0, 2), 16)}`,
    ...(settings.root ? { root: settings.root } : {}),
    ...(settings.worlds ? { worlds: settings.worlds } : {}),
    ...(settings.worker ? { over: settings.worker } : {}),
  })

  const port = await freePort()
  const apiKey = 'a-key-for-tests-only'
  const env = {
    PATH: process.env['PATH'],
    PROVOST_REDIS_URL: redis.url,
    PROVOST_REDIS_PREFIX: redis.prefix,
    PROVOST_LISTEN: `127.0.0.1:${port}`,
    PROVOST_API_KEY: apiKey,
    PROVOST_CONFIG: file,
    ...(settings.timeScale ? { PROVOST_TIME_SCALE: `${settings.timeScale}` } : {}),
  }
  const processes = serviceProcesses(state)
  const start = async (service: Service) => processes.start(service, { service, env })
  const { end, log } = processes

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
    /** Where a program takes the place of the real one. */
    bin,
    root,
    bridge,
    config,
    start,
    /** Ends a service; gives its exit code. */
    end,
    hostIsUp,
    log,
    workerPid: () => processes.pid('worker'),
    worker: () => processes.child('worker'),
    holdUp: (program: string, path: string, when?: string) => holdUp(bin, program, path, when),
    snapshot: () => snapshot(),
    async stop(): Promise<void> {
      if (processes.pid('worker')) {
        const { body } = await client.call('GET', '/v1/jails?limit=500')
        for (const { name } of body?.items ?? []) await client.ended(await client.call('DELETE', `/v1/jails/${name}`))
      }
      await end('worker', 'SIGTERM')
      await end('producer', 'SIGTERM')
      await rm(state, { recursive: true, force: true })
    },
  }
}
