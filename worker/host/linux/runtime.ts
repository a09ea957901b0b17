import { existsSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import pLimit from 'p-limit'
import type { WorkerConfig } from '../../config/config.ts'
import { requireFit } from '../checks/check-result.ts'
import type { TrialRuntime } from '../host-runtime.ts'
import { requirePools } from '../jails/require-pools.ts'
import { rootGone } from '../jails/root-gone.ts'
import type { RunCommand } from '../programs/run-command.ts'
import { checkHost } from './checks/check.ts'
import { proveIsolation } from './isolation/isolation.ts'
import { endCommand, startCommand } from './jail/command.ts'
import { commandState } from './jail/command-state.ts'
import { removeJail } from './jail/end-jail.ts'
import { ensureJail, findInit, listJails } from './jail/jail.ts'
import { layoutOf } from './layout.ts'
import { type Cgroups, detectCgroups, inhabitedCgroups } from './limits/cgroups.ts'
import type { LinuxHost } from './linux-host.ts'
import { removeStaleFilters } from './network/filter.ts'
import { ensureNetwork, hasNetwork, removeNetwork, unlinkedJails } from './network/network.ts'
import { endPredecessor, endProcessesOf } from './processes/end-processes.ts'
import { lockFile } from './processes/lock-file.ts'
import { releaseRanges } from './root/id-range.ts'
import { removeTree } from './root/remove-tree.ts'
import { ensureRoot, hasRoot, mountRoot, removeRoot } from './root/root.ts'
import { commitWorld, discardStage, discardStages, hasWorld, listWorlds, removeWorld, stageWorld, worldTree } from './worlds.ts'

type Options = {
  run: RunCommand
  config: WorkerConfig
  amend?: LinuxHost['amend']
}

/** Returns the runtime of jails by runc, overlayfs, network namespaces with veth and a bridge, and cgroups (v1, hybrid, v2). */
export function linuxRuntime({ run, config, amend = (spec) => spec }: Options): TrialRuntime {
  const lock = pLimit(1)
  let cgroups: Cgroups | undefined
  const host: LinuxHost = {
    run,
    config,
    supports: {
      diskLimit: config.capacity.disk !== undefined,
      setuid: config.privileges?.setuid ? 'on-request' : 'never',
    },
    amend,
    layout: layoutOf(config.root),
    get cgroups() {
      cgroups ??= detectCgroups()
      return cgroups
    },
    bridgeLock: (work) => lock(work),
    starting: { count: 0 },
  }
  return {
    runtime: 'linux',
    platform: `linux/${process.arch}`,
    supports: host.supports,

    check: () => checkHost(host),
    async open() {
      await openHost(host)
      return host.layout.root
    },

    bootId: async () => (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
    lockFile: (path) => lockFile(run, path),
    endPredecessor: () => endPredecessor(config.root),
    endProcessesOf: (operation) => endProcessesOf(config.root, operation),

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
    hasNetwork: async (jail) => hasNetwork(host, jail),
    ensureJail: (jail, signal) => ensureJail(host, jail, signal),
    removeJail: (jail, signal) => removeJail(host, jail, signal),
    startCommand: (jail, signal) => startCommand(host, jail, signal),
    endCommand: (jail, signal) => endCommand(host, jail, signal),
    commandStateOf: async (jail) => commandState(host, jail),
    findJail: async (jail) => {
      const jid = findInit(host, jail.name)
      return jid === undefined ? undefined : { jid }
    },
    listJails: async () => listJails(host),
    inhabitedJails: async () => inhabitedCgroups(host.cgroups, host.layout.cgroupParent),
    unlinkedJails: (jails) => unlinkedJails(host, jails),
    hasRoot: async (jail) => hasRoot(host, jail),
    async requireStartable(jail) {
      if (!hasRoot(host, jail)) throw rootGone(jail)
      requirePools(config.network.pools, jail)
    },
    consoleOf: (jail) => host.layout.jail(jail.name).console,
    proveIsolation: (jail, signal) => proveIsolation(host, jail, signal),
    discard: () => removeTree(run, host.layout.root),
  }
}

async function openHost(host: LinuxHost): Promise<void> {
  requireFit(await checkHost(host))
  await mkdir(host.layout.root, { recursive: true, mode: 0o711 })
  // Of jails whose directories somebody took away; not of one that lives, whose root may have been moved, and comes back.
  const lives = new Set(inhabitedCgroups(host.cgroups, host.layout.cgroupParent))
  releaseRanges(host.layout, (jail) => dirname(jail) === host.layout.jails && !existsSync(jail) && !lives.has(basename(jail)))
  await Promise.all([host.layout.worlds, host.layout.jails].map((path) => mkdir(path, { recursive: true, mode: 0o700 })))
  await removeStaleFilters(host)
}
