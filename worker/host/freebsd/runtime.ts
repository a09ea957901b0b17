import { mkdir } from 'node:fs/promises'
import { ProvostError } from '#shared/errors.ts'
import type { WorkerConfig } from '../../config/config.ts'
import { requireFit } from '../checks/check-result.ts'
import { realPath } from '../files/paths.ts'
import type { HostRuntime, TrialRuntime } from '../host-runtime.ts'
import { requirePools } from '../jails/require-pools.ts'
import { rootGone } from '../jails/root-gone.ts'
import type { RunCommand } from '../programs/run-command.ts'
import { checkHost } from './checks/check.ts'
import { discardHost } from './discard-host.ts'
import { enrol } from './enrol.ts'
import type { FreebsdHost, Patience } from './freebsd-host.ts'
import { proveIsolation } from './isolation/isolation.ts'
import { startCommand } from './jail/command.ts'
import { commandState } from './jail/command-state.ts'
import { endJail } from './jail/end-jail.ts'
import { ensureJail, findJail, listJails } from './jail/jail.ts'
import { type Layout, layoutOf } from './layout.ts'
import { ensureNetwork, hasNetwork, removeNetwork, unlinkedJails } from './network/network.ts'
import { readBootId } from './processes/boot-id.ts'
import { endPredecessor, endProcessesOf } from './processes/end-processes.ts'
import { lockFile } from './processes/lock-file.ts'
import { ensureRoot, hasRoot, mountRoot, removeRoot } from './root/root.ts'
import { zfsProperty } from './root/zfs.ts'
import { commitWorld, discardStage, discardStages, hasWorld, listWorlds, removeWorld, stageWorld, worldTree } from './worlds.ts'

type Options = {
  run: RunCommand
  config: WorkerConfig
  /** Whether its jails, and its bridge, come back at boot. */
  atBoot?: boolean
  /** The operating system's locks and processes: FreeBSD's, unless the programs of FreeBSD are only doubles. */
  system?: Pick<HostRuntime, 'lockFile' | 'endPredecessor' | 'endProcessesOf'>
  patience?: Partial<Patience>
}

const patience: Patience = { dying: 20_000, busy: 20_000, stop: 30_000, poll: 100 }

/** Returns the runtime for jails by jail(8), on ZFS or UFS, on a shared interface or a network of their own, with rctl(8). */
export function freebsdRuntime({ run, config, atBoot = true, system, ...options }: Options): TrialRuntime {
  const onDirectory = config.root.startsWith('/')
  let layout: Layout | undefined = onDirectory ? layoutOf(realPath(config.root)) : undefined
  let boot: Promise<string> | undefined
  const host: FreebsdHost = {
    run,
    config,
    atBoot,
    etc: config.etcDir,
    get layout() {
      if (!layout) throw new ProvostError('unexpected', `Where ${config.root} is mounted is not known before it is opened.`)
      return layout
    },
    patience: { ...patience, ...options.patience },
    bootId: () => {
      boot ??= readBootId(run)
      return boot
    },
  }
  const learnLayout = async () => {
    layout ??= await mountedLayout(host, config.root)
    return layout
  }
  return {
    runtime: 'freebsd',
    platform: `freebsd/${process.arch}`,
    supports: { diskLimit: !onDirectory && config.capacity.disk !== undefined, setuid: 'always' },

    check: async () => checkHost(host, await learnLayout().catch(() => undefined)),
    async open() {
      await openHost(host, learnLayout)
      return host.layout.directory
    },

    bootId: host.bootId,
    lockFile: system?.lockFile ?? lockFile,
    endPredecessor: system?.endPredecessor ?? (() => endPredecessor(run, config.root)),
    endProcessesOf: system?.endProcessesOf ?? ((operation) => endProcessesOf(run, config.root, operation)),

    stageWorld: (world) => stageWorld(host, world),
    commitWorld: (world) => commitWorld(host, world),
    discardStage: (world) => discardStage(host, world),
    discardStages: () => discardStages(host),
    listWorlds: (onUnreadable) => listWorlds(host, onUnreadable),
    hasWorld: (world) => hasWorld(host, world),
    removeWorld: (world) => removeWorld(host, world),
    worldTree: (world) => worldTree(host, world),

    ensureRoot: (jail, signal) => ensureRoot(host, jail, signal),
    mountRoot: (jail, signal) => mountRoot(host, jail, signal),
    removeRoot: (jail, signal) => removeRoot(host, jail, signal),
    ensureNetwork: (jail, signal) => ensureNetwork(host, jail, signal),
    removeNetwork: (jail, signal) => removeNetwork(host, jail, signal),
    hasNetwork: (jail, signal) => hasNetwork(host, jail, signal),
    ensureJail: (jail, signal) => ensureJail(host, jail, signal),
    removeJail: (jail, signal) => endJail(host, jail, signal),
    startCommand: (jail, signal) => startCommand(host, jail, signal),
    // A second `startCommand` sees by the jail's processes that the command was started.
    endCommand: async () => undefined,
    commandStateOf: (jail, jid) => commandState(host, jail, jid),
    findJail: (jail) => findJail(host, jail),
    listJails: () => listJails(host),
    inhabitedJails: async () => [...(await listJails(host)).keys()],
    unlinkedJails: (jails) => unlinkedJails(host, jails),
    hasRoot: (jail) => hasRoot(host, jail),
    async requireStartable(jail) {
      if (!(await hasRoot(host, jail))) throw rootGone(jail)
      requirePools(config.network.pools, jail)
    },
    consoleOf: (jail) => host.layout.jail(jail.name).console,
    proveIsolation: (jail, signal) => proveIsolation(host, jail, signal),
    discard: () => discardHost(host),
  }
}

async function openHost(host: FreebsdHost, learnLayout: () => Promise<Layout | undefined>): Promise<void> {
  requireFit(await checkHost(host, await learnLayout()))
  const { root } = host.config
  if (root.startsWith('/')) await mkdir(root, { recursive: true, mode: 0o700 })
  else await host.run('zfs', ['create', '-p', root])
  if (!(await learnLayout())) throw new ProvostError('host_unfit', `The dataset ${root} is not mounted anywhere.`)
  await enrol(host)
}

/** Returns the layout of a dataset, below where it is mounted; undefined while it is not. */
async function mountedLayout(host: FreebsdHost, dataset: string): Promise<Layout | undefined> {
  const mountpoint = await zfsProperty(host, dataset, 'mountpoint')
  if (!mountpoint?.startsWith('/')) return undefined
  // A dataset whose key is not loaded has a mountpoint, too: an empty directory, in which this host would have no jails.
  const isMounted = (await zfsProperty(host, dataset, 'mounted')) === 'yes'
  return isMounted ? layoutOf(realPath(mountpoint), dataset) : undefined
}
