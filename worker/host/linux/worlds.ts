import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { WorldId } from '#shared/job.ts'
import { worldDirectory } from '../derived-names.ts'
import { type FilledWorld, type OnUnreadable, readWorldIds, worldIdFile } from '../files/world-ids.ts'
import type { LinuxHost } from './linux-host.ts'
import { isMountPoint, type Mount, readMounts, unmountBelow } from './root/mounts.ts'
import { removeTree } from './root/remove-tree.ts'
import { isOverTree } from './root/tree-id.ts'

const stagePrefix = '.filling-'
const removingPrefix = '.removing-'
/** Of trees over which jails were mounted when a fill took their place. */
const keptPrefix = '.kept-'

export function worldTree({ layout }: LinuxHost, world: WorldId): string {
  return join(layout.worlds, worldDirectory(world), 'tree')
}

export async function stageWorld(host: LinuxHost, world: WorldId): Promise<string> {
  await discardStage(host, world)
  const tree = join(stageOf(host, world), 'tree')
  // Not what is above: a root that is away must not be there again, empty.
  for (const path of [dirname(tree), tree]) await mkdir(path, { mode: 0o755 })
  return tree
}

export async function commitWorld(host: LinuxHost, world: FilledWorld): Promise<void> {
  const stage = stageOf(host, world)
  const place = join(host.layout.worlds, worldDirectory(world))
  if (hasWorld(host, world)) return discardStage(host, world)
  if (!existsSync(stage)) throw new ProvostError('unexpected', `World ${world.name} was not staged.`)
  await writeFile(join(stage, worldIdFile), JSON.stringify(world))
  // A power cut must not leave a world in its place whose files are not on the disk.
  await host.run('sync', ['--file-system', stage])
  // Somebody took a part of it away.
  if (existsSync(place)) await setAside(host, world)
  await rename(stage, place)
}

export function hasWorld({ layout }: LinuxHost, world: WorldId): boolean {
  const place = join(layout.worlds, worldDirectory(world))
  return existsSync(join(place, worldIdFile)) && existsSync(join(place, 'tree'))
}

export async function discardStage(host: LinuxHost, world: WorldId): Promise<void> {
  await discard(host, stageOf(host, world))
}

export async function discardStages(host: LinuxHost): Promise<void> {
  const names = await readdir(host.layout.worlds)
  const left = names.filter((name) => name.startsWith(stagePrefix) || name.startsWith(removingPrefix))
  for (const name of left) await discard(host, join(host.layout.worlds, name))
  for (const name of names.filter((name) => name.startsWith(keptPrefix))) {
    const kept = join(host.layout.worlds, name)
    if (!(await isBelowJails(host, join(kept, 'tree')))) await discard(host, kept)
  }
}

async function isBelowJails({ layout }: LinuxHost, tree: string): Promise<boolean> {
  const jails = (await readdir(layout.jails)).map(layout.jail)
  return jails.some((jail) => isMountPoint(jail.root) && isOverTree(jail, tree))
}

/** Returns where roots of jails are mounted over a world. */
function mountsOver(host: LinuxHost, world: WorldId): string[] {
  const isOver = ({ superOptions }: Mount) => superOptions.includes(`lowerdir=${worldTree(host, world)}`)
  return (
    readMounts()
      .filter(isOver)
      .map(({ point }) => point)
      // Each is mounted for runc, too.
      .filter((point) => point.startsWith(`${host.layout.jails}/`))
  )
}

export async function listWorlds({ layout }: LinuxHost, onUnreadable?: OnUnreadable): Promise<FilledWorld[]> {
  const names = (await readdir(layout.worlds)).filter((name) => !name.startsWith('.'))
  const files = names.map((name) => join(layout.worlds, name, worldIdFile))
  return readWorldIds(files, onUnreadable)
}

/** Renames a world aside first, so that a half-removed one is never used. @throws ProvostError `resource_busy` */
export async function removeWorld(host: LinuxHost, world: WorldId): Promise<void> {
  const place = join(host.layout.worlds, worldDirectory(world))
  const above = mountsOver(host, world)
  if (above.length > 0)
    throw new ProvostError('resource_busy', `World ${world.name} is below the jails mounted at ${above.join(', ')}.`)
  if (existsSync(place)) await setAside(host, world)
  else await discard(host, removingOf(host, world))
}

/** Takes a world out of its place. Jails that run go on over its tree, which is kept for them. */
async function setAside(host: LinuxHost, world: WorldId): Promise<void> {
  const { worlds } = host.layout
  const place = join(worlds, worldDirectory(world))
  if (mountsOver(host, world).length > 0)
    return rename(place, join(worlds, `${keptPrefix}${worldDirectory(world)}-${Date.now()}`))
  const removing = removingOf(host, world)
  await discard(host, removing)
  await rename(place, removing)
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
