import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Operation } from '#shared/operation.ts'
import { freePort } from '../free-port.ts'
import { holdUp } from '../hosts/hold-up.ts'
import type { HostSnapshot } from '../hosts/host-snapshot.ts'
import { type NamespaceHost, namespaceHost } from '../hosts/namespace-host.ts'
import { until } from '../until.ts'
import { makeClient } from './client.ts'
import { serviceProcesses } from './processes.ts'

export type NamespaceFleet = Awaited<ReturnType<typeof startNamespaceFleet>>

const apiKey = 'a-key-for-tests-only'

/** A producer and several workers as processes, each worker on a host of its own, which share a pool of addresses. */
export async function startNamespaceFleet(redis: { url: string; prefix: string }, names: string[]) {
  const state = await mkdtemp(join(tmpdir(), 'provost-fleet-'))
  const tag = redis.prefix.replace(/[^0-9a-f]/g, '').slice(-6)
  const third = Number.parseInt(tag.slice(0, 2), 16)
  const processes = serviceProcesses(state)
  const hosts = new Map<string, NamespaceHost>()
  const port = await freePort()
  const env = { PATH: process.env['PATH'], PROVOST_REDIS_PREFIX: redis.prefix }
  const client = makeClient(`http://127.0.0.1:${port}`, apiKey)

  const host = (name: string): NamespaceHost => {
    const found = hosts.get(name)
    if (!found) throw new Error(`no host ${name}`)
    return found
  }

  function startWorker(name: string): void {
    const { redisUrl, file, entered } = host(name)
    processes.start(name, { service: 'worker', env: { ...env, PROVOST_REDIS_URL: redisUrl, PROVOST_CONFIG: file }, entered })
  }

  function signalWorker(name: string, signal: NodeJS.Signals): void {
    const pid = processes.pid(name)
    if (pid === undefined) throw new Error(`no worker of ${name} runs`)
    process.kill(pid, signal)
  }

  const hostIs = (name: string, state: string) =>
    until(`host ${name} to be ${state}`, async () => {
      const { body } = await client.call('GET', `/v1/hosts/${name}`).catch(() => ({ body: undefined }))
      const worlds: { state: string }[] = body?.worlds ?? []
      return body?.state === state && (state !== 'up' || worlds.every((world) => world.state === 'ready'))
    })

  /** Removes all of it. Gives what is left all the same, host by host. */
  async function remove(): Promise<HostSnapshot[]> {
    for (const name of processes.names()) await processes.end(name, 'SIGKILL')
    for (const each of hosts.values()) await each.remove()
    await rm(state, { recursive: true, force: true })
    return [...hosts.values()].map((each) => each.remains())
  }

  try {
    for (const [block, name] of names.entries()) {
      const made = await namespaceHost({
        name,
        directory: join(state, name),
        link: `pvo${tag}${block}`,
        uplink: { network: `10.214.${third}`, block },
        redis: new URL(redis.url),
        bridge: `pvt${tag}`,
        network: `10.213.${third}`,
      })
      hosts.set(name, made)
    }
    processes.start('producer', {
      service: 'producer',
      env: { ...env, PROVOST_REDIS_URL: redis.url, PROVOST_LISTEN: `127.0.0.1:${port}`, PROVOST_API_KEY: apiKey },
    })
    for (const name of names) startWorker(name)
    await Promise.all(names.map((name) => hostIs(name, 'up')))
  } catch (error) {
    await remove()
    throw error
  }

  return {
    ...client,
    host,
    hosts: () => [...hosts.values()],
    hostIs,
    startWorker,
    endWorker: processes.end,
    pauseWorker: (name: string) => signalWorker(name, 'SIGSTOP'),
    resumeWorker: (name: string) => signalWorker(name, 'SIGCONT'),
    log: processes.log,
    holdUp: (name: string, program: string, path: string, when?: string) => holdUp(host(name).bin, program, path, when),
    operations: async (): Promise<Operation[]> => (await client.call('GET', '/v1/operations?limit=500')).body.items,
    remove,
  }
}
