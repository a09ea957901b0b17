import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { WorldId } from '#shared/job.ts'
import { worldDirectory } from '../derived-names.ts'
import { replaceFile } from '../files/replace-file.ts'
import { type FilledWorld, type OnUnreadable, readWorldIds, worldIdFile } from '../files/world-ids.ts'
import type { FreebsdHost } from './freebsd-host.ts'
import { unmountBelow } from './root/mounts.ts'
import { removeTree } from './root/remove-tree.ts'
import { datasetsBelow, destroyDataset, makeDataset, renameDataset, requireNoClones, zfsProperty } from './root/zfs.ts'

/** No world's name begins with them. */
const stagePrefix = '_filling-'
const removingPrefix = '_removing-'
const packed = 'tree.tar'
const copyMs = 3_600_000

export function worldTree({ layout }: FreebsdHost, world: WorldId): string {
  return join(layout.worlds, worldDirectory(world), 'tree')
}

/** On ZFS, returns the snapshot that jails of the world are cloned from. */
export function worldSnapshot({ layout }: FreebsdHost, world: WorldId): string {
  return `${layout.dataset}/worlds/${worldDirectory(world)}@filled`
}

/** Without ZFS, returns the archive that jails of the world are unpacked from. */
export function worldArchive({ layout }: FreebsdHost, world: WorldId): string {
  return join(layout.worlds, worldDirectory(world), packed)
}

export async function stageWorld(host: FreebsdHost, world: WorldId): Promise<string> {
  await discardStage(host, world)
  const stage = stageOf(host, world)
  const dataset = datasetOf(host, basename(stage))
  if (dataset) await makeDataset(host, ['create', dataset])
  else await mkdir(stage)
  // It may have setuid files, which no user of the host may reach.
  await chmod(stage, 0o700)
  await mkdir(join(stage, 'tree'), { mode: 0o755 })
  return join(stage, 'tree')
}

export async function commitWorld(host: FreebsdHost, world: FilledWorld): Promise<void> {
  const stage = stageOf(host, world)
  const place = join(host.layout.worlds, worldDirectory(world))
  if (hasWorld(host, world)) return discardStage(host, world)
  if (!existsSync(stage)) throw new ProvostError('unexpected', `World ${world.name} was not staged.`)
  await unmountBelow(host.run, stage)
  await writeFile(join(stage, worldIdFile), JSON.stringify(world))
  const [from, to] = [datasetOf(host, basename(stage)), datasetOf(host, worldDirectory(world))]
  // Somebody took a part of it away.
  if (existsSync(place) && !(await isRemoved(host, world))) {
    // Nobody can have changed the snapshot, of which jails are clones: only its id was lost.
    await replaceFile(join(place, worldIdFile), JSON.stringify(world))
    return discardStage(host, world)
  }
  if (from && to) {
    await host.run('zfs', ['snapshot', `${from}@filled`])
    const fault = await renameDataset(host, from, to)
    if (!fault) return
    // Nothing was cloned from it yet; left there it would be in the way of the next fill.
    await destroyDataset(host, to)
    throw fault
  }
  // tar(1) keeps hard links, of which /rescue has 150 to one file, and file flags; cp(1) keeps no links.
  await host.run('tar', ['-c', '-p', '-f', join(stage, packed), '-C', join(stage, 'tree'), '.'], { timeoutMs: copyMs })
  // A power cut must not leave a world in its place whose files are not on the disk.
  await host.run('sync', [])
  await rename(stage, place)
}

/** On ZFS jails are made from a snapshot, which nobody can change, else from an archive. */
export function hasWorld(host: FreebsdHost, world: WorldId): boolean {
  const place = join(host.layout.worlds, worldDirectory(world))
  return existsSync(join(place, worldIdFile)) && (host.layout.dataset !== undefined || existsSync(worldArchive(host, world)))
}

export async function discardStage(host: FreebsdHost, world: WorldId): Promise<void> {
  await discard(host, basename(stageOf(host, world)))
}

export async function discardStages(host: FreebsdHost): Promise<void> {
  const { dataset, worlds } = host.layout
  const names = dataset
    ? (await datasetsBelow(host, `${dataset}/worlds`)).map((name) => name.slice(`${dataset}/worlds/`.length))
    : await readdir(worlds)
  const left = names.filter((name) => name.startsWith(stagePrefix) || name.startsWith(removingPrefix))
  for (const name of left) await discard(host, name)
}

export async function listWorlds({ layout }: FreebsdHost, onUnreadable?: OnUnreadable): Promise<FilledWorld[]> {
  const names = (await readdir(layout.worlds)).filter((name) => !name.startsWith('_'))
  const files = names.map((name) => join(layout.worlds, name, worldIdFile))
  return readWorldIds(files, onUnreadable)
}

/**
 * Renames a world aside first, so that a half-removed one is never used. A world that something was cloned from stays: its clones
 * would be removed with it. @throws ProvostError `resource_busy`
 */
export async function removeWorld(host: FreebsdHost, world: WorldId): Promise<void> {
  const { dataset, worlds } = host.layout
  const [name, removing] = [worldDirectory(world), `${removingPrefix}${worldDirectory(world)}`]
  await discard(host, removing)
  if (dataset) {
    if ((await zfsProperty(host, `${dataset}/worlds/${name}`, 'type')) === undefined) return
    await requireNoClones(host, `${dataset}/worlds/${name}`)
    await renameDataset(host, `${dataset}/worlds/${name}`, `${dataset}/worlds/${removing}`)
  } else {
    if (!existsSync(join(worlds, name))) return
    await rename(join(worlds, name), join(worlds, removing))
  }
  await discard(host, removing)
}

/** Removes a world. Returns whether it could be: one that something was cloned from stays. */
async function isRemoved(host: FreebsdHost, world: WorldId): Promise<boolean> {
  try {
    await removeWorld(host, world)
    return true
  } catch (error) {
    if (error instanceof ProvostError && error.code === 'resource_busy') return false
    throw error
  }
}

/** A killed fill may have left file systems mounted in what it filled. */
async function discard(host: FreebsdHost, name: string): Promise<void> {
  const path = join(host.layout.worlds, name)
  const dataset = datasetOf(host, name)
  if (dataset ? (await zfsProperty(host, dataset, 'type')) === undefined : !existsSync(path)) return
  await unmountBelow(host.run, path)
  if (dataset) return destroyDataset(host, dataset)
  await removeTree(host.run, path)
}

function stageOf({ layout }: FreebsdHost, world: WorldId): string {
  return join(layout.worlds, `${stagePrefix}${worldDirectory(world)}`)
}

function datasetOf({ layout }: FreebsdHost, name: string): string | undefined {
  return layout.dataset && `${layout.dataset}/worlds/${name}`
}
