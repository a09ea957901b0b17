import { randomInt } from 'node:crypto'
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JailSpec, WorldId } from '#shared/job.ts'
import { readWorkerConfig, type WorkerConfig } from '../../../worker/config/config.ts'
import type { HostRuntime } from '../../../worker/host/host-runtime.ts'
import type { OciSpec } from '../../../worker/host/linux/jail/oci-spec.ts'
import { type Layout, layoutOf } from '../../../worker/host/linux/layout.ts'
import { linuxRuntime } from '../../../worker/host/linux/runtime.ts'
import { commandRunner, findProgram, type RunCommand } from '../../../worker/host/programs/run-command.ts'

/** A Linux host of a test's own, with its own root, bridge and pools, and one tiny world. */
export type TrialHost = {
  host: HostRuntime
  run: RunCommand
  config: WorkerConfig
  layout: Layout
  jail(overrides?: Partial<JailSpec>): JailSpec
  /** Changes the specification of every jail started from now on. */
  breakNextBy(amend: (spec: OciSpec) => void): void
  /** Removes what its jails left and the host itself. */
  close(): Promise<void>
}

export const endless: JailSpec['command'] = ['/bin/sleep', '100000']
const world: WorldId = { name: 'tiny', digest: 'a1'.repeat(32) }
const applets = ['sh', 'sleep', 'true', 'false', 'echo', 'cat', 'dd', 'mkdir', 'trap', 'setsid', 'mount', 'unshare']

/** `scripts` are files of the world, by their paths in it; `settings` are of its worker.yaml. */
export async function trialHost(scripts: Record<string, string> = {}, settings: object = {}): Promise<TrialHost> {
  const root = await mkdtemp(join(tmpdir(), 'provost-trial-'))
  const [a, b] = [randomInt(64, 128), randomInt(0, 256)]
  const bridge = `pvt${randomInt(1e9)}`
  const file = join(root, 'worker.yaml')
  const text = {
    host: 'trial',
    runtime: 'linux',
    root: join(root, 'host'),
    network: {
      mode: 'vnet',
      bridge,
      pools: [
        { name: 'four', cidr: `10.${a}.${b}.0/24`, gateway: `10.${a}.${b}.1` },
        { name: 'six', cidr: `fd00:${a}:${b}::/64`, gateway: `fd00:${a}:${b}::1` },
      ],
    },
    capacity: { jails: 100, memory: '8G', cpu: 2, disk: '8G' },
    defaults: { memory: '64M', cpu: 0.5, processes: 50 },
    worlds: [{ name: world.name, method: 'busybox' }],
    ...settings,
  }
  await writeFile(file, JSON.stringify(text))
  const config = readWorkerConfig({}, file)
  const run = commandRunner({ commandPath: config.commandPath, worker: config.root })
  let amend: ((spec: OciSpec) => void) | undefined
  const host = linuxRuntime({
    run,
    config,
    amend: (spec) => {
      amend?.(spec)
      return spec
    },
  })
  await host.open()
  await fillTinyWorld(await host.stageWorld(world), config.commandPath, scripts)
  await host.commitWorld(world)

  const made = new Map<string, JailSpec>()
  return {
    host,
    run,
    config,
    layout: layoutOf(config.root),
    jail(overrides = {}) {
      const jail: JailSpec = {
        name: `j${made.size}`,
        provision: '01936c3e-0000-7000-8000-000000000001',
        client: 'acme',
        hostname: `host-${made.size}.example.com`,
        world: world.name,
        worldDigest: world.digest,
        addresses: [`10.${a}.${b}.${made.size + 10}/24`, `fd00:${a}:${b}::${made.size + 10}/64`],
        limits: { memory: 64 * 1024 * 1024, cpu: 0.5, processes: 50 },
        ...overrides,
      }
      made.set(jail.name, jail)
      return jail
    },
    breakNextBy(change) {
      amend = change
    },
    async close() {
      for (const jail of made.values()) await removeAll(host, jail)
      await rm(root, { recursive: true })
    },
  }
}

/** Brings a jail up as a provision does. Returns its jid. */
export async function provision(host: HostRuntime, jail: JailSpec, signal = new AbortController().signal): Promise<number> {
  await host.ensureRoot(jail, signal)
  await host.ensureNetwork(jail, signal)
  const jid = await host.ensureJail(jail, signal)
  await host.startCommand(jail, signal)
  return jid
}

/** Takes a jail away as a destroy does. */
export async function removeAll(host: HostRuntime, jail: JailSpec): Promise<void> {
  const { signal } = new AbortController()
  await host.removeJail(jail, signal)
  await host.removeNetwork(jail, signal)
  await host.removeRoot(jail, signal)
}

async function fillTinyWorld(tree: string, commandPath: string, scripts: Record<string, string>): Promise<void> {
  for (const directory of ['bin', 'etc', 'tmp', 'root', 'data']) await mkdir(join(tree, directory))
  await copyFile(findProgram('busybox', commandPath) ?? '', join(tree, 'bin/busybox'))
  for (const applet of applets) await symlink('busybox', join(tree, 'bin', applet))
  for (const [path, text] of Object.entries(scripts)) {
    await writeFile(join(tree, path), text)
    await chmod(join(tree, path), 0o755)
  }
}
