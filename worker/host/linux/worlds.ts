import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { WorldId } from '../host-runtime.ts'
import type { LinuxHost } from './linux-host.ts'
import { unmountBelow } from './mounts.ts'
import { removeTree } from './remove-tree.ts'

const stagePrefix = '.filling-'
const idFile = 'world.json'

export function worldTree({ layout }: LinuxHost, world: WorldId): string {
  return join(layout.worlds, directoryName(world), 'tree')
}

export async function stageWorld(host: LinuxHost, world: WorldId): Promise<string> {
  await discardStage(host, world)
  const tree = join(stageOf(host, world), 'tree')
  await mkdir(tree, { recursive: true, mode: 0o755 })
  return tree
}

export async function commitWorld(host: LinuxHost, world: WorldId): Promise<void> {
  const stage = stageOf(host, world)
  const place = join(host.layout.worlds, directoryName(world))
  if (existsSync(place)) return discardStage(host, world)
  if (!existsSync(stage)) throw new ProvostError('unexpected', `World ${world.name} was not staged.`)
  await writeFile(join(stage, idFile), JSON.stringify(world))
  // A power cut must not leave a world in its place whose files are not on the disk.
  await host.run('sync', ['--file-system', stage])
  await rename(stage, place)
}

export async function discardStage(host: LinuxHost, world: WorldId): Promise<void> {
  await discard(host, stageOf(host, world))
}

export async function discardStages(host: LinuxHost): Promise<void> {
  const names = await readdir(host.layout.worlds)
  for (const name of names.filter((name) => name.startsWith(stagePrefix))) await discard(host, join(host.layout.worlds, name))
}

export async function listWorlds({ layout }: LinuxHost): Promise<WorldId[]> {
  const names = (await readdir(layout.worlds)).filter((name) => !name.startsWith('.'))
  return Promise.all(
    names.map(async (name): Promise<WorldId> => JSON.parse(await readFile(join(layout.worlds, name, idFile), 'utf8'))),
  )
}

/** A killed fill may have left file systems mounted (debootstrap mounts proc and sys in what it builds). */
async function discard(host: LinuxHost, stage: string): Promise<void> {
  if (!existsSync(stage)) return
  await unmountBelow(host.run, stage)
  await removeTree(host.run, stage)
}

function stageOf({ layout }: LinuxHost, world: WorldId): string {
  return join(layout.worlds, `${stagePrefix}${directoryName(world)}`)
}

function directoryName({ name, digest }: WorldId): string {
  return `${name}-${digest.slice(0, 16)}`
}
