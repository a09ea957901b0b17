import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ProvostError } from '#shared/errors.ts'
import type { JailSpec, WorldId } from '#shared/job.ts'
import type { HostRuntime } from '../../../../worker/host/host-runtime.ts'
import { rootGone } from '../../../../worker/host/jails/root-gone.ts'
import { endPredecessor, endProcessesOf } from '../../../../worker/host/linux/processes/end-processes.ts'
import { lockFile } from '../../../../worker/host/linux/processes/lock-file.ts'
import type { RunCommand } from '../../../../worker/host/programs/run-command.ts'
import { simulatedIsolation } from '../../../support/samples/isolation.ts'
import { type Deed, hostFiles, readControl, readJson } from './host-files.ts'

/** How long a deed takes when the disk is not slow. */
const quickMs = 30

type Options = {
  root: string
  run: RunCommand /** A planted fault: what an operation made stays when it fails. */
  skipsUndo: boolean
}

/**
 * A host whose jails are files: a root, a network, a jail that runs. They outlive a killed worker, and can be looked at from
 * outside, like the log of all that was ever done to them, with the operation and the epoch that each deed was done for.
 */
export function diskHost({ root, run, skipsUndo }: Options): HostRuntime {
  const files = hostFiles(root)
  let jids = process.pid * 1_000

  /** Begins, takes its time, may fail, and has its effect and its note in one go. */
  async function doing<T>(verb: string, jail: JailSpec, signal: AbortSignal, effect: () => T): Promise<T> {
    const { operation, epoch, kind } = files.readAsker(jail.name)
    const deed = { verb, jail: jail.name, provision: jail.provision, operation, epoch, kind }
    note({ ...deed, phase: 'begins' })
    const { slowMs, failing } = readControl(files.control)
    await sleep(Math.random() * (slowMs || quickMs), undefined, { signal })
    if (failing && failing.verb === verb && Math.random() < failing.chance)
      throw new ProvostError(failing.code, `${verb} of ${jail.name} was told to fail.`)
    const isUndo = verb.startsWith('remove') && (kind === 'provision' || kind === 'start')
    if (skipsUndo && isUndo) return undefined as T
    const result = effect()
    note({ ...deed, phase: 'done', ...(verb === 'ensureNetwork' ? { addresses: jail.addresses } : {}) })
    return result
  }

  const note = (deed: Omit<Deed, 'at'>) => appendFileSync(files.deeds, `${JSON.stringify({ at: now(), ...deed })}\n`)

  function refuse(jail: JailSpec, fault: string): never {
    note({ verb: 'fault', jail: jail.name, provision: jail.provision, phase: 'done', fault })
    throw new ProvostError('command_failed', fault)
  }

  const stage = (world: WorldId) => join(root, 'stages', world.name)
  const place = ({ name, digest }: WorldId) => join(root, 'worlds', `${name}-${digest.slice(0, 16)}`)
  const noteWorld = (verb: string, { name, digest }: WorldId) => note({ verb, world: `${name}-${digest}`, phase: 'done' })

  const host: HostRuntime = {
    runtime: 'linux',
    platform: 'linux/x64',
    supports: { diskLimit: false, setuid: 'never' },
    check: async () => [],
    async open() {
      for (const directory of ['roots', 'networks', 'jails', 'stages', 'worlds'])
        mkdirSync(join(root, directory), { recursive: true })
      return root
    },
    bootId: async () => readFileSync(files.bootFile, 'utf8'),
    lockFile: (path) => lockFile(run, path),
    endPredecessor: () => endPredecessor(root),
    endProcessesOf: (operation) => endProcessesOf(root, operation),
    endCommand: async () => undefined,

    async stageWorld(world) {
      noteWorld('stageWorld', world)
      await host.discardStage(world)
      mkdirSync(join(stage(world), 'tree'), { recursive: true })
      return join(stage(world), 'tree')
    },
    async commitWorld(world) {
      writeFileSync(join(stage(world), 'id'), JSON.stringify(world))
      renameSync(stage(world), place(world))
      noteWorld('commitWorld', world)
    },
    discardStage: async (world) => rmSync(stage(world), { recursive: true, force: true }),
    async discardStages() {
      for (const name of readdirSync(join(root, 'stages'))) rmSync(join(root, 'stages', name), { recursive: true })
    },
    listWorlds: async () => readdirSync(join(root, 'worlds')).map((name) => readJson(join(root, 'worlds', name, 'id'))),
    hasWorld: (world) => existsSync(place(world)),
    async removeWorld(world) {
      rmSync(place(world), { recursive: true, force: true })
      noteWorld('removeWorld', world)
    },
    worldTree: (world) => join(place(world), 'tree'),

    ensureRoot: (jail, signal) =>
      doing('ensureRoot', jail, signal, () => {
        if (!existsSync(place({ name: jail.world, digest: jail.worldDigest })))
          refuse(jail, 'made from a world that is not filled')
        files.write('roots', jail, {})
      }),
    mountRoot: (jail, signal) =>
      doing('mountRoot', jail, signal, () => {
        if (!files.has('roots', jail.name)) throw rootGone(jail)
      }),
    removeRoot: (jail, signal) =>
      doing('removeRoot', jail, signal, () => {
        if (files.has('jails', jail.name)) refuse(jail, 'the root of a jail that runs was to be removed')
        files.remove('roots', jail.name)
      }),
    ensureNetwork: (jail, signal) =>
      doing('ensureNetwork', jail, signal, () => files.write('networks', jail, { addresses: jail.addresses })),
    removeNetwork: (jail, signal) =>
      doing('removeNetwork', jail, signal, () => {
        if (files.has('jails', jail.name)) refuse(jail, 'the network of a jail that runs was to be removed')
        files.remove('networks', jail.name)
      }),
    ensureJail: (jail, signal) =>
      doing('ensureJail', jail, signal, () => {
        if (!files.has('roots', jail.name) || !files.has('networks', jail.name)) refuse(jail, 'a jail was to start in nothing')
        const jid = files.jidOf(jail.name) ?? ++jids
        files.write('jails', jail, { jid })
        return jid
      }),
    removeJail: (jail, signal) => doing('removeJail', jail, signal, () => files.remove('jails', jail.name)),
    startCommand: (jail, signal) => doing('startCommand', jail, signal, () => undefined),
    async findJail({ name }) {
      const jid = files.jidOf(name)
      return jid === undefined ? undefined : { jid }
    },
    listJails: async () => new Map(files.list('jails').map(({ name, jid = 0 }) => [name, { jid }])),
    inhabitedJails: async () => files.list('jails').map(({ name }) => name),
    unlinkedJails: async () => new Set(),
    hasNetwork: async ({ name }) => files.has('networks', name),
    hasRoot: async ({ name }) => files.has('roots', name),
    commandStateOf: async () => undefined,
    async requireStartable(jail) {
      if (!files.has('roots', jail.name)) throw rootGone(jail)
    },
    consoleOf: ({ name }) => join(root, `${name}.console`),
    proveIsolation: (jail, signal) => doing('proveIsolation', jail, signal, simulatedIsolation),
  }
  return host
}

/** Microseconds of one clock for all processes of this computer. */
export function now(): number {
  return Number(process.hrtime.bigint() / 1_000n)
}
