import { existsSync } from 'node:fs'
import { mkdir, open, rename } from 'node:fs/promises'
import type { JailSpec } from '#shared/job.ts'
import type { LinuxHost } from '../linux-host.ts'
import { isMountPoint } from './mounts.ts'

/**
 * Mounts the file system for what a jail with a disk limit writes, and returns its mount point: an ext4 in a sparse file, so that
 * it takes from the host only what is used. An overlay has no quota of its own, and hardly any host has project quotas.
 */
export async function ensureDisk(host: LinuxHost, jail: JailSpec, bytes: number, signal: AbortSignal): Promise<string> {
  const { disk, diskImage } = host.layout.jail(jail.name)
  await mkdir(disk, { recursive: true, mode: 0o700 })
  if (isMountPoint(disk)) return disk

  if (!existsSync(diskImage)) {
    const aside = `${diskImage}.new`
    const file = await open(aside, 'w', 0o600)
    await file.truncate(bytes).finally(() => file.close())
    await host.run('mkfs.ext4', ['-q', '-F', '-m', '0', aside], { signal })
    await rename(aside, diskImage)
  }
  // discard: what the jail deletes is given back to the host.
  await host.run('mount', ['-i', '-t', 'ext4', '-o', 'loop,nodev,nosuid,discard', diskImage, disk], { signal })
  return disk
}
