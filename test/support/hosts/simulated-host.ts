import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { SetuidSupport } from '#shared/host.ts'
import type { JailSpec } from '#shared/job.ts'
import type { Pool } from '#shared/network/pool.ts'
import type { HostRuntime } from '../../../worker/host/host-runtime.ts'
import { requirePools } from '../../../worker/host/jails/require-pools.ts'
import { requirePrivileges } from '../../../worker/host/jails/require-privileges.ts'
import { rootGone } from '../../../worker/host/jails/root-gone.ts'
import { simulatedIsolation } from '../samples/isolation.ts'
import { until } from '../until.ts'
import { directoryHost } from './directory-host.ts'

/** What a host does to a jail, in the order it happened. */
export type Deed =
  `${'ensureRoot' | 'mountRoot' | 'removeRoot' | 'ensureNetwork' | 'removeNetwork' | 'ensureJail' | 'removeJail' | 'startCommand' | 'endCommand' | 'proveIsolation'} ${string}`

type Verb = Deed extends `${infer V} ${string}` ? V : never
type Hook = (jail: JailSpec, signal: AbortSignal) => Promise<void> | void

export type SimulatedHost = Awaited<ReturnType<typeof simulatedHost>>

/**
 * A host that makes no jails but remembers what it was asked to do: where queues, records and plans are what a test is about.
 * `before(verb, hook)` runs a hook before each deed of a kind: it may throw, or wait.
 */
export async function simulatedHost() {
  const directories = await directoryHost()
  const deeds: Deed[] = []
  const roots = new Set<string>()
  const networks = new Map<string, string[]>()
  const jails = new Map<string, number>()
  const hooks = new Map<Verb, Hook>()
  let jids = 1_000
  let boot = 'boot-1'
  let pools: Pool[] | undefined
  let setuid: SetuidSupport = 'never'

  async function doing(verb: Verb, jail: JailSpec, signal: AbortSignal): Promise<void> {
    deeds.push(`${verb} ${jail.name}`)
    await hooks.get(verb)?.(jail, signal)
  }

  const host: HostRuntime = {
    ...directories.host,
    runtime: 'linux',
    get supports() {
      return { diskLimit: false, setuid }
    },
    check: async () => [],
    async open() {
      const directory = join(directories.root, 'host')
      await mkdir(directory, { recursive: true })
      return directory
    },
    bootId: async () => boot,
    lockFile: (path) => open(path, 'a+'),
    endPredecessor: async () => undefined,
    endProcessesOf: async () => undefined,
    async ensureRoot(jail, signal) {
      await doing('ensureRoot', jail, signal)
      roots.add(jail.name)
    },
    async mountRoot(jail, signal) {
      await doing('mountRoot', jail, signal)
      if (!roots.has(jail.name)) throw rootGone(jail)
    },
    async removeRoot(jail, signal) {
      await doing('removeRoot', jail, signal)
      roots.delete(jail.name)
    },
    async ensureNetwork(jail, signal) {
      await doing('ensureNetwork', jail, signal)
      networks.set(jail.name, jail.addresses)
    },
    async removeNetwork(jail, signal) {
      await doing('removeNetwork', jail, signal)
      networks.delete(jail.name)
    },
    async ensureJail(jail, signal) {
      await doing('ensureJail', jail, signal)
      requirePrivileges(host.supports, jail)
      if (!roots.has(jail.name) || !networks.has(jail.name))
        throw new ProvostError('command_failed', 'There is nothing to start in.')
      jids += 1
      jails.set(jail.name, jails.get(jail.name) ?? jids)
      return jails.get(jail.name) ?? 0
    },
    async removeJail(jail, signal) {
      await doing('removeJail', jail, signal)
      jails.delete(jail.name)
    },
    startCommand: (jail, signal) => doing('startCommand', jail, signal),
    endCommand: (jail, signal) => doing('endCommand', jail, signal),
    async findJail(jail) {
      const jid = jails.get(jail.name)
      return jid === undefined ? undefined : { jid }
    },
    listJails: async () => new Map([...jails].map(([name, jid]) => [name, { jid }])),
    inhabitedJails: async () => [...jails.keys()],
    unlinkedJails: async (specs) => new Set(specs.map(({ name }) => name).filter((name) => !networks.has(name))),
    hasNetwork: async ({ name }) => networks.has(name),
    hasRoot: async ({ name }) => roots.has(name),
    commandStateOf: async () => undefined,
    async requireStartable(jail) {
      if (!roots.has(jail.name)) throw rootGone(jail)
      if (pools) requirePools(pools, jail)
    },
    consoleOf: (jail) => `${directories.root}/${jail.name}.console`,
    async proveIsolation(jail, signal) {
      await doing('proveIsolation', jail, signal)
      return simulatedIsolation()
    },
  }

  return {
    host,
    deeds,
    /** Waits for a deed to begin. */
    begins: (deed: Deed) => until(`${deed} to begin`, () => deeds.includes(deed)),
    before: (verb: Verb, hook: Hook) => void hooks.set(verb, hook),
    clear: (verb: Verb) => void hooks.delete(verb),
    /** Everything of jails that is on this host. */
    state: () => ({ roots: [...roots].sort(), networks: [...networks.keys()].sort(), jails: [...jails.keys()].sort() }),
    addresses: () => [...networks.values()].flat(),
    reboot(): void {
      boot = `boot-${Number(boot.split('-')[1]) + 1}`
      networks.clear()
      jails.clear()
    },
    /** The pools of its configuration from now on. */
    hasPools: (now: Pool[]) => {
      pools = now
    },
    /** In which of its jails setuid programs give their rights, from now on. */
    allowSetuid: (now: SetuidSupport) => {
      setuid = now
    },
    /** What a person at the host does without Provost. */
    byHand: {
      stop: (name: string) => void jails.delete(name),
      /** As the host starts it by the jail's own file: with its link. */
      start(name: string, jid: number): void {
        networks.set(name, networks.get(name) ?? [])
        jails.set(name, jid)
      },
      removeRoot: (name: string) => void roots.delete(name),
      removeLink: (name: string) => void networks.delete(name),
      addLink: (name: string) => void networks.set(name, []),
    },
    remove: directories.remove,
    root: directories.root,
  }
}
