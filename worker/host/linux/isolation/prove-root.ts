import { statSync } from 'node:fs'
import { type Finding, some } from '../../jails/proofs.ts'
import { initPath } from '../jail/oci-spec.ts'
import { type Mount, readMounts } from '../root/mounts.ts'
import { worldTree } from '../worlds.ts'
import { deviceNumber } from './device-number.ts'
import { type Subject, sharedWithHost } from './subject.ts'

/** What may be mounted in a jail, by file system; below /proc runc masks and write-protects with mounts. */
const expected: Record<string, string> = {
  '/': 'overlay',
  '/proc': 'proc',
  '/dev': 'tmpfs',
  '/dev/pts': 'devpts',
  '/dev/shm': 'tmpfs',
}

/** Its `/` is the overlay that was made for it over its world, and nothing else of the host is mounted in it. */
export function proveRoot({ host, jail, first }: Subject): Finding {
  const faults = sharedWithHost(first, 'mnt')
  const mounts = readMounts(first)
  const root = mounts.findLast(({ point }) => point === '/')
  const tree = worldTree(host, { name: jail.world, digest: jail.worldDigest })
  if (root?.device !== deviceOf(host.layout.jail(jail.name).root)) faults.push('its / is not the root made for it')
  if (!root?.superOptions.includes(`lowerdir=${tree}`)) faults.push(`its / is not over the world ${tree}`)

  const strange = mounts.filter((mount) => !isExpected(mount)).map(({ fsType, point }) => `${fsType} on ${point}`)
  if (strange.length > 0) faults.push(`has mounted what it should not: ${some(strange)}`)
  const missing = Object.keys(expected).filter((path) => !mounts.some(({ point }) => point === path))
  if (missing.length > 0) faults.push(`lacks a mount on ${some(missing)}`)
  const writable = mounts.filter(({ point, options }) => point === initPath && !options.includes('ro'))
  if (writable.length > 0) faults.push(`could write ${initPath}, a program of the host`)
  return { faults, fine: `/ is its own, over ${jail.world}, with ${mounts.length} mounts, all expected` }
}

function isExpected({ point, fsType }: Mount): boolean {
  if (point === initPath) return true
  // Which ones it has is looked at with its other devices.
  if (point.startsWith('/dev/') && fsType === 'devtmpfs') return true
  if (point.startsWith('/proc/')) return ['proc', 'tmpfs', 'devtmpfs'].includes(fsType)
  return expected[point] === fsType
}

function deviceOf(path: string): string | undefined {
  const entry = statSync(path, { throwIfNoEntry: false })
  return entry && deviceNumber(entry.dev)
}
