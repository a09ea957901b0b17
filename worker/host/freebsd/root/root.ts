import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { rootGone } from '../../jails/root-gone.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import { findByName, findDying } from '../jail/jls.ts'
import { worldArchive, worldSnapshot } from '../worlds.ts'
import { unmountBelow } from './mounts.ts'
import { removeTree } from './remove-tree.ts'
import { destroyDataset, isDestroyed, makeDataset, zfsProperty } from './zfs.ts'

const copyMs = 3_600_000

/** Makes the jail's root from its world: a clone on ZFS, which takes milliseconds, else a copy. */
export async function ensureRoot(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { dataset } = host.layout.jail(jail.name)
  if (dataset) return ensureClone(host, jail, dataset, signal)
  await ensureCopy(host, jail, signal)
}

/**
 * Mounts the root that `ensureRoot` has made; a copy is always where it is.
 * @throws ProvostError `not_built` when it is gone.
 */
export async function mountRoot(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { dataset, root } = host.layout.jail(jail.name)
  if (!(await hasRoot(host, jail))) throw rootGone(jail)
  if (dataset) await ensureClone(host, jail, dataset, signal)
  if (!existsSync(root)) throw rootGone(jail)
}

/**
 * Removes the jail's root with all that the jail wrote.
 * @throws ProvostError `resource_busy` while the jail is not gone, or a mount or the dataset is in use.
 */
export async function removeRoot(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { directory, dataset, parent, root, copying, removing } = host.layout.jail(jail.name)
  const running = await findByName(host, jail.name, signal)
  if (running?.path === root) throw new ProvostError('resource_busy', `Jail ${jail.name} still runs.`)
  if ((await findDying(host, jail.name, signal))?.path === root)
    throw new ProvostError('resource_busy', `Jail ${jail.name} is still dying.`)

  if (dataset) await destroyClone(host, dataset, parent, signal)
  else {
    await unmountBelow(host.run, parent, signal)
    if (existsSync(removing)) await removeTree(host.run, removing, signal)
    if (existsSync(parent)) await rename(parent, removing)
    for (const path of [removing, copying]) if (existsSync(path)) await removeTree(host.run, path, signal)
  }
  // Made by us; the jail can never write there.
  await rm(directory, { recursive: true, force: true })
}

/** zfs(8) unmounts a dataset itself, and says `busy` where somebody has mounted anything in it: only then all mounts are looked at. */
async function destroyClone(host: FreebsdHost, dataset: string, parent: string, signal: AbortSignal): Promise<void> {
  if (await isDestroyed(host, dataset, signal)) return
  await unmountBelow(host.run, parent, signal)
  await destroyDataset(host, dataset, signal)
}

/** Whether the jail's root is there; a dataset also while it is not mounted. */
export async function hasRoot(host: FreebsdHost, jail: JailSpec): Promise<boolean> {
  const { dataset, root } = host.layout.jail(jail.name)
  return dataset ? (await zfsProperty(host, dataset, 'type')) !== undefined : existsSync(root)
}

async function ensureClone(host: FreebsdHost, jail: JailSpec, dataset: string, signal: AbortSignal): Promise<void> {
  const snapshot = worldSnapshot(host, { name: jail.world, digest: jail.worldDigest })
  const origin = await zfsProperty(host, dataset, 'origin', signal)
  if (origin === undefined) {
    if ((await zfsProperty(host, snapshot, 'type', signal)) === undefined) throw notFilled(jail)
    // quota and not refquota: what a clone shares with its world does not count for the client, zfsprops(7).
    const quota = jail.limits.disk === undefined ? [] : ['-o', `quota=${jail.limits.disk}`]
    await makeDataset(host, ['clone', ...quota, snapshot, dataset], signal)
    return
  }
  if (origin !== snapshot) throw new ProvostError('unexpected', `${dataset} is a clone of ${origin} and not of ${snapshot}.`)
  // A boot mounts no dataset with canmount=noauto or an unloaded key, zfs-mount(8).
  if ((await zfsProperty(host, dataset, 'mounted', signal)) !== 'yes') await host.run('zfs', ['mount', dataset], { signal })
}

async function ensureCopy(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { parent, copying } = host.layout.jail(jail.name)
  if (existsSync(parent)) return
  const archive = worldArchive(host, { name: jail.world, digest: jail.worldDigest })
  if (!existsSync(archive)) throw notFilled(jail)
  if (existsSync(copying)) await removeTree(host.run, copying, signal)
  await mkdir(join(copying, 'tree'), { recursive: true, mode: 0o755 })
  // By number: by name the owners would be whoever has that name on the host now.
  const unpack = ['-x', '-p', '--numeric-owner', '-f', archive, '-C', join(copying, 'tree')]
  await host.run('tar', unpack, { signal, timeoutMs: copyMs })
  await rename(copying, parent)
}

function notFilled({ world }: JailSpec): ProvostError {
  return new ProvostError('not_built', `World ${world} is not filled on this host.`)
}
