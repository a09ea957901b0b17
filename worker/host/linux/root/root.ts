import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { rootGone } from '../../jails/root-gone.ts'
import { processesIn } from '../limits/cgroups.ts'
import type { LinuxHost } from '../linux-host.ts'
import { worldTree } from '../worlds.ts'
import { ensureDisk } from './disk.ts'
import { rangeOf, releaseRange } from './id-range.ts'
import { isMountPoint, readMounts, unmountBelow } from './mounts.ts'
import { removeTree } from './remove-tree.ts'
import { removeSharedDirectories } from './shared-directories.ts'
import { isOverTree, treeId } from './tree-id.ts'
import { prepareIds } from './user-namespace.ts'

/** Makes and mounts the jail's root: an overlay over its world's tree, with what the jail writes in a directory of its own. */
export async function ensureRoot(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  await mountOverlay(host, jail, 'make', signal)
}

/** Mounts the root that `ensureRoot` has made. @throws ProvostError `not_built` when what the jail wrote is gone. */
export async function mountRoot(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  if (!hasRoot(host, jail)) throw rootGone(jail)
  await mountOverlay(host, jail, 'keep', signal)
}

async function mountOverlay(host: LinuxHost, jail: JailSpec, how: 'make' | 'keep', signal: AbortSignal): Promise<void> {
  const paths = host.layout.jail(jail.name)
  const lower = worldTree(host, { name: jail.world, digest: jail.worldDigest })
  const isMounted = isMountPoint(paths.root)
  if (isMounted) requireLower(paths.root, lower)
  // A jail that lives keeps the tree that it was started over; that of a world that was taken away and filled anew is another.
  const isAsWanted = isMounted && isOverTree(paths, lower) && hasOwnIds(host, jail)
  if (isMounted && (isAsWanted || processesIn(host.cgroups, paths.cgroup).length > 0)) return
  if (!existsSync(lower)) throw new ProvostError('not_built', `World ${jail.world} is not filled on this host.`)

  // A killed worker may have mounted it in one place only.
  if (isMounted || isMountPoint(paths.rootForRunc)) await unmountBelow(host.run, [paths.root, paths.rootForRunc], signal)
  // At once and not through Node's threads, which takes longer than making a directory.
  mkdirSync(paths.root, { recursive: true, mode: 0o700 })
  const writable = jail.limits.disk === undefined ? paths.directory : await ensureDisk(host, jail, jail.limits.disk, signal)
  const [upper, work] = [join(writable, 'upper'), join(writable, 'work')]
  if (how === 'keep' && !existsSync(upper)) throw rootGone(jail)
  for (const path of [upper, work]) mkdirSync(path, { recursive: true })
  // Its mode is the mode of the jail's `/`; the umask limits that of mkdir.
  chmodSync(upper, 0o755)
  writeFileSync(paths.lower, treeId(lower) ?? '')
  // It mounts with nosuid and nodev, which guard the host from a file in the jail's tree. A jail that may use setuid programs sees it without
  // nosuid.
  const places = [lower, writable, paths.root, paths.rootForRunc]
  await host.run('perl', [...(await prepareIds(host, jail, signal)), ...places], { signal })
}

/** Whether the jail's root is mounted so that the jail has its own ids, or was by a worker that knew none. */
export function hasOwnIds({ layout }: LinuxHost, jail: JailSpec): boolean {
  const paths = layout.jail(jail.name)
  return rangeOf(layout, paths) !== undefined && isMountPoint(paths.userNamespace) && isMountPoint(paths.rootForRunc)
}

/** Whether the jail's root is there and mounted. */
export function isRootMounted({ layout }: LinuxHost, jail: JailSpec): boolean {
  return isMountPoint(layout.jail(jail.name).root)
}

/** Whether what the jail writes is there, mounted or not. */
export function hasRoot({ layout }: LinuxHost, jail: JailSpec): boolean {
  const { directory, disk, diskImage } = layout.jail(jail.name)
  if (jail.limits.disk === undefined) return existsSync(join(directory, 'upper'))
  return existsSync(diskImage) && (!isMountPoint(disk) || existsSync(join(disk, 'upper')))
}

/**
 * Removes the jail's root with all that the jail wrote.
 * @throws ProvostError `resource_busy` while a process of the jail lives or a mount is in use.
 */
export async function removeRoot(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { directory, removing, cgroup, runDirectory, range } = host.layout.jail(jail.name)
  const processes = processesIn(host.cgroups, cgroup)
  // The jail has its own mount of its root: unmounting ours would succeed and remove the files under it.
  if (processes.length > 0)
    throw new ProvostError('resource_busy', `Processes of ${jail.name} still run: ${processes.join(', ')}.`)

  if (existsSync(removing)) await removeTree(host.run, removing, signal)
  await unmountBelow(host.run, [directory, runDirectory], signal)
  rmSync(runDirectory, { recursive: true, force: true })
  removeSharedDirectories(host)
  releaseRange(host.layout, { directory, range })
  if (!existsSync(directory)) return
  await rename(directory, removing)
  await removeTree(host.run, removing, signal)
}

function requireLower(root: string, lower: string): void {
  const mount = readMounts().findLast(({ point }) => point === root)
  if (mount?.superOptions.includes(`lowerdir=${lower}`)) return
  throw new ProvostError('unexpected', `${root} is mounted over another world than ${lower}.`)
}
