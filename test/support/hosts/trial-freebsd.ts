import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JailSpec, WorldId } from '#shared/job.ts'
import { readWorkerConfig } from '../../../worker/config/config.ts'
import type { Patience } from '../../../worker/host/freebsd/freebsd-host.ts'
import { layoutOf } from '../../../worker/host/freebsd/layout.ts'
import { freebsdRuntime } from '../../../worker/host/freebsd/runtime.ts'
import { endPredecessor, endProcessesOf } from '../../../worker/host/linux/processes/end-processes.ts'
import { lockFile } from '../../../worker/host/linux/processes/lock-file.ts'
import { commandRunner } from '../../../worker/host/programs/run-command.ts'
import type { InJail } from '../freebsd/in-jail.ts'
import { simulatedFreebsd } from '../freebsd/simulated-freebsd.ts'

const programs = ['chflags', 'cpuset', 'daemon', 'devfs', 'ifconfig', 'jail', 'jexec', 'jls', 'mount', 'ps', 'rctl', 'rm', 'sync']
const morePrograms = ['sysctl', 'sysrc', 'tar', 'umount', 'zfs']

export type Settings = {
  storage?: 'ufs' | 'zfs'
  mode?: 'shared' | 'vnet'
  inJail?: InJail | undefined
  /** The doubles are executables that the worker really starts, by commandPath. */
  served?: boolean
  /** Fills the one world, `tiny`. */
  fill?(tree: string): void | Promise<void>
  patience?: Partial<Patience>
  /** Laid over the worker's YAML. */
  config?: Record<string, unknown>
}

export type TrialFreebsd = Awaited<ReturnType<typeof trialFreebsd>>

const world: WorldId = { name: 'tiny', digest: 'a1'.repeat(32) }

/** A simulated FreeBSD host with a runtime on it that is open, and one world. */
export async function trialFreebsd(settings: Settings = {}) {
  const { storage = 'ufs', mode = 'shared' } = settings
  const directory = await mkdtemp(join(tmpdir(), 'provost-freebsd-'))
  const etc = join(directory, 'etc')
  const bin = join(directory, 'bin')
  for (const path of [etc, bin, join(directory, 'tank')]) mkdirSync(path)
  // The doubles take the others' places; tar(1) is the real one.
  for (const program of [...programs, ...morePrograms].filter((each) => !settings.served || each !== 'tar')) {
    writeFileSync(join(bin, program), '')
    chmodSync(join(bin, program), 0o755)
  }
  const simulated = simulatedFreebsd(directory, settings.inJail)
  const server = settings.served ? await simulated.serve(bin) : undefined
  const file = join(directory, 'worker.yaml')
  const text = {
    host: 'trial',
    runtime: 'freebsd',
    root: storage === 'zfs' ? 'tank/provost' : join(directory, 'host'),
    commandPath: settings.served ? `${bin}:/usr/bin:/bin` : bin,
    etcDir: etc,
    network: {
      mode,
      ...(mode === 'vnet' ? { bridge: 'bridge7' } : { interface: 'em0' }),
      pools: [
        { name: 'four', cidr: '10.0.0.0/24', gateway: '10.0.0.1' },
        { name: 'six', cidr: 'fd00:1::/64', gateway: 'fd00:1::1' },
      ],
    },
    capacity: { jails: 100, memory: '8G', cpu: 2, ...(storage === 'zfs' ? { disk: '8G' } : {}) },
    defaults: { memory: '64M', cpu: 0.5, processes: 50 },
    worlds: [{ name: world.name, method: 'tree', path: '/nonexistent' }],
    ...settings.config,
  }
  writeFileSync(file, JSON.stringify(text))
  const config = readWorkerConfig({}, file)
  const real = commandRunner({ commandPath: '/usr/bin:/bin', worker: config.root })
  const runtime = () =>
    freebsdRuntime({
      run: settings.served ? commandRunner({ commandPath: config.commandPath, worker: config.root }) : simulated.run,
      config,
      patience: { dying: 300, busy: 300, stop: 200, poll: 2, ...settings.patience },
      // The operating system under the doubles.
      system: {
        lockFile: (path) => lockFile(real, path),
        endPredecessor: () => endPredecessor(config.root),
        endProcessesOf: (operation) => endProcessesOf(config.root, operation),
      },
    })
  const host = runtime()
  const own = await host.open()
  const enrolment = [...simulated.commands]
  const tree = await host.stageWorld(world)
  for (const name of ['bin', 'dev', 'etc', 'data']) mkdirSync(join(tree, name))
  await settings.fill?.(tree)
  await host.commitWorld(world)
  simulated.commands.length = 0

  let made = 0
  return {
    ...simulated,
    host,
    /** As a worker that starts again. */
    runtime,
    /** What it ran to be opened for the first time. */
    enrolment,
    config,
    etc,
    directory,
    layout: layoutOf(own, storage === 'zfs' ? config.root : undefined),
    jail(overrides: Partial<JailSpec> = {}): JailSpec {
      made += 1
      return {
        name: `j${made}`,
        provision: '01936c3e-0000-7000-8000-000000000001',
        client: 'acme',
        hostname: `host-${made}.example.com`,
        world: world.name,
        worldDigest: world.digest,
        addresses: [`10.0.0.${made + 10}/24`, `fd00:1::${made + 10}/64`],
        limits: { memory: 64 * 1024 * 1024, cpu: 0.5, processes: 50 },
        ...overrides,
      }
    },
    close: async () => {
      server?.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
