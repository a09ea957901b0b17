import { join } from 'node:path'
import type { Operation } from '#shared/operation.ts'
import type { HostSnapshot } from '../hosts/host-snapshot.ts'
import { type NamespaceHost, namespaceHost } from '../hosts/namespace-host.ts'
import { programGate } from '../programs/program-gate.ts'
import type { TestRedis } from '../redis/redis-test.ts'
import { processFleet, service } from './process-fleet.ts'

export type NamespaceFleet = Awaited<ReturnType<typeof startNamespaceFleet>>

/**
 * A producer and several workers as processes, each worker on a host of its own and under its name. The hosts share a pool of
 * addresses. `timeScale`: how fast waits are, as `PROVOST_TIME_SCALE`.
 */
export async function startNamespaceFleet(redis: TestRedis, names: string[], timeScale = 1) {
  const fleet = await processFleet(redis, { PROVOST_TIME_SCALE: `${timeScale}` })
  const { state, env, tag, third } = fleet
  const hosts = new Map<string, NamespaceHost>()

  const host = (name: string): NamespaceHost => {
    const known = hosts.get(name)
    if (!known) throw new Error(`no host ${name}`)
    return known
  }

  /** Makes a host and its worker, which is yet to be started, under `name`. `called`: the name that its worker.yaml gives it. */
  async function add(name: string, called = name): Promise<void> {
    const made = await namespaceHost({
      name: called,
      directory: join(state, name),
      fleet: state,
      link: `pvo${tag}${hosts.size}`,
      uplink: { network: `10.214.${third}`, block: hosts.size },
      redis: new URL(redis.url),
      bridge: `pvt${tag}`,
      network: `10.213.${third}`,
    })
    hosts.set(name, made)
    const own = { PROVOST_REDIS_URL: made.redisUrl, PROVOST_CONFIG: made.file }
    fleet.define(name, service('worker', { ...env, ...own }, made.entered))
  }

  /** Removes all of it. Returns what is left all the same, host by host. */
  async function remove(): Promise<HostSnapshot[]> {
    await fleet.killAll()
    for (const each of hosts.values()) await each.remove()
    await fleet.close()
    return [...hosts.values()].map((each) => each.remains())
  }

  try {
    for (const name of names) await add(name)
    fleet.startAll()
    await Promise.all(names.map((name) => fleet.hostIs(name, 'up')))
  } catch (error) {
    await remove()
    throw error
  }

  return {
    ...fleet,
    host,
    add,
    hosts: () => [...hosts.values()],
    gate: (name: string, program: string, path: string, when?: string) => programGate(host(name).bin, program, path, when),
    operations: async (): Promise<Operation[]> => (await fleet.call('GET', '/v1/operations?limit=500')).body.items,
    remove,
  }
}
