import type { JailSpec, WorldId } from '#shared/job.ts'
import { readWorkerConfig } from '../../../worker/config/config.ts'
import { freebsdRuntime } from '../../../worker/host/freebsd/runtime.ts'
import { commandRunner } from '../../../worker/host/programs/run-command.ts'
import { removeAll } from '../hosts/trial-host.ts'
import { realFreebsd, type Settings } from './freebsd-host.ts'
import { fillRescueTree } from './rescue-tree.ts'

export type FreebsdTrial = Awaited<ReturnType<typeof freebsdTrial>>

const world: WorldId = { name: 'tiny', digest: 'a1'.repeat(32) }

/** A runtime on this FreeBSD host that is open, with one world. Nothing of it comes back at boot. */
export async function freebsdTrial({ scripts, ...settings }: Settings) {
  const real = realFreebsd(settings)
  const { tag, third } = real
  try {
    const config = readWorkerConfig({}, real.file)
    const run = commandRunner({ commandPath: config.commandPath, worker: config.root })
    const runtime = () => freebsdRuntime({ run, config, atBoot: false })
    const host = runtime()
    await host.open()
    fillRescueTree(await host.stageWorld(world), scripts)
    await host.commitWorld(world)
    const made = new Map<string, JailSpec>()
    return {
      ...real,
      host,
      /** As a worker that starts again. */
      runtime,
      run,
      config,
      /** Names of jails are the machine's on FreeBSD: these are no one's else. */
      jail(overrides: Partial<JailSpec> = {}): JailSpec {
        const nth = made.size + 10
        const jail: JailSpec = {
          name: `t${tag}_${nth}`,
          provision: '01936c3e-0000-7000-8000-000000000001',
          client: 'acme',
          hostname: `host-${nth}.example.com`,
          world: world.name,
          worldDigest: world.digest,
          addresses: [`10.213.${third}.${nth}/24`, `fd00:213:${third}::${nth}/64`],
          limits: { memory: 64 * 1024 * 1024, cpu: 0.5, processes: 50 },
          ...overrides,
        }
        made.set(jail.name, jail)
        return jail
      },
      async close(): Promise<void> {
        try {
          for (const jail of made.values()) await removeAll(host, jail)
        } finally {
          real.close()
        }
      },
    }
  } catch (error) {
    real.close()
    throw error
  }
}
