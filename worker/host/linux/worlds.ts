import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { WorldId } from '#shared/job.ts'
import { worldDirectory } from '../derived-names.ts'
import type { FilledWorld } from '../host-runtime.ts'
import type { LinuxHost } from './linux-host.ts'
import { readMounts, unmountBelow } from './root/mounts.ts'
import { removeTree } from './root/remove-tree.ts'

const stagePrefix = '.filling-'
const removingPrefix = '.removing-'
const idFile = 'world.json'

export function worldTree({ layout }: LinuxHost, world: WorldId): string {
  return join(layout.worlds, worldDirectory(world), 'tree')
}

export async function stageWorld(host: LinuxHost, world: WorldId): Promise<string> {
  await discardStage(host, world)
  const tree = join(stageOf(host, world), 'tree')
  await mkdir(tree, { recursive: true, mode: 0o755 })
  return tree
}

export async function commitWorld(host: LinuxHost, world: FilledWorld): Promise<void> {
  const stage = stageOf(host, world)
  const place = join(host.layout.worlds, worldDirectory(world))
  if (hasWorld(host, world)) return discardStage(host, world)
  if (!existsSync(stage)) throw new ProvostError('unexpected', `World ${world.name} was not staged.`)
  await writeFile(join(stage, idFile), JSON.stringify(world))
  // A power cut must not leave a world in its place whose files are not on the disk.
  await host.run('sync', ['--file-system', stage])
  // Somebody took a part of it away, perhaps not the part that jails live on.
  if (existsSync(worldTree(host, world))) requireNoJails(host, world)
  if (existsSync(place)) await setAside(host, world)
  await rename(stage, place)
}

export function hasWorld({ layout }: LinuxHost, world: WorldId): boolean {
  const place = join(layout.worlds, worldDirectory(world))
  return existsSync(join(place, idFile)) && existsSync(join(place, 'tree'))
}

export async function discardStage(host: LinuxHost, world: WorldId): Promise<void> {
  await discard(host, stageOf(host, world))
}

export async function discardStages(host: LinuxHost): Promise<void> {
  const names = await readdir(host.layout.worlds)
  const left = names.filter((name) => name.startsWith(stagePrefix) || name.startsWith(removingPrefix))
  for (const name of left) await discard(host, join(host.layout.worlds, name))
}

export async function listWorlds({ layout }: LinuxHost): Promise<FilledWorld[]> {
  const names = (await readdir(layout.worlds)).filter((name) => !name.startsWith('.'))
  const files = names.map((name) => join(layout.worlds, name, idFile)).filter((path) => existsSync(path))
  return Promise.all(files.map(async (path): Promise<FilledWorld> => JSON.parse(await readFile(path, 'utf8'))))
}

/** Renames a world aside first, so that a half-removed one is never used. @throws ProvostError `resource_busy` */
export async function removeWorld(host: LinuxHost, world: WorldId): Promise<void> {
  requireNoJails(host, world)
  if (existsSync(join(host.layout.worlds, worldDirectory(world)))) await setAside(host, world)
  else await discard(host, removingOf(host, world))
}

/** @throws ProvostError `resource_busy` */
function requireNoJails(host: LinuxHost, world: WorldId): void {
  const above = readMounts().filter(({ superOptions }) => superOptions.includes(`lowerdir=${worldTree(host, world)}`))
  if (above.length === 0) return
  const points = above.map(({ point }) => point).join(', ')
  throw new ProvostError('resource_busy', `World ${world.name} is below the jails mounted at ${points}.`, {
    hint: 'Bring back what was taken of the world, or destroy these jails, then fill it again.',
  })
}

async function setAside(host: LinuxHost, world: WorldId): Promise<void> {
  const removing = removingOf(host, world)
  await discard(host, removing)
  await rename(join(host.layout.worlds, worldDirectory(world)), removing)
  await discard(host, removing)
}

/** A killed fill may have left file systems mounted (debootstrap mounts proc and sys in what it builds). */
async function discard(host: LinuxHost, stage: string): Promise<void> {
  if (!existsSync(stage)) return
  await unmountBelow(host.run, stage)
  await removeTree(host.run, stage)
}

function removingOf({ layout }: LinuxHost, world: WorldId): string {
  return join(layout.worlds, `${removingPrefix}${worldDirectory(world)}`)
}

function stageOf({ layout }: LinuxHost, world: WorldId): string {
  return join(layout.worlds, `${stagePrefix}${worldDirectory(world)}`)
}
