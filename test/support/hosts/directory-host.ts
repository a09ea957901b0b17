import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { WorldId } from '#shared/job.ts'
import type { HostRuntime } from '../../../worker/host/host-runtime.ts'
import type { WorldHost } from '../../../worker/worlds/world-store.ts'

/**
 * The part of a host that keeps worlds, on plain directories below a temporary one. Not in /tmp, which may be mounted
 * nodev: debootstrap makes device nodes.
 */
export async function directoryHost(parent = '/var/tmp') {
  const root = await mkdtemp(join(parent, 'provost-worlds-'))
  const stages = join(root, 'stages')
  const worlds = join(root, 'worlds')
  await mkdir(stages)
  await mkdir(worlds)
  const stage = (world: WorldId) => join(stages, world.name)
  const place = ({ name, digest }: WorldId) => join(worlds, `${name}-${digest.slice(0, 16)}`)
  const host: WorldHost & Pick<HostRuntime, 'worldTree'> = {
    platform: 'linux/x64',
    endProcessesOf: async () => undefined,
    async stageWorld(world) {
      await host.discardStage(world)
      await mkdir(join(stage(world), 'tree'), { recursive: true })
      return join(stage(world), 'tree')
    },
    async commitWorld(world) {
      await writeFile(join(stage(world), 'id'), JSON.stringify(world))
      await rename(stage(world), place(world))
    },
    discardStage: (world) => rm(stage(world), { recursive: true, force: true }),
    async discardStages() {
      for (const name of await readdir(stages)) await rm(join(stages, name), { recursive: true })
    },
    async listWorlds() {
      const names = await readdir(worlds)
      return Promise.all(names.map(async (name) => JSON.parse(await readFile(join(worlds, name, 'id'), 'utf8'))))
    },
    hasWorld: (world) => existsSync(place(world)),
    removeWorld: (world) => rm(place(world), { recursive: true, force: true }),
    worldTree: (world) => join(place(world), 'tree'),
  }
  return {
    host,
    root,
    stages: () => readdir(stages),
    /** The names of the filled worlds. */
    worlds: async () => (await host.listWorlds()).map(({ name }) => name).sort(),
    remove: () => rm(root, { recursive: true, force: true }),
  }
}
