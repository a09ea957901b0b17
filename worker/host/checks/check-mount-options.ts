import { fault, fine, type Result } from './check-result.ts'

/** A mount, with the options that it has. */
type Mounted = { point: string; options: string[] }

/**
 * Checks that programs can run below the root, and device nodes work there where a world needs them for its making. The mount
 * that holds a directory is the last one made of those whose points are nearest above it.
 */
export function checkMountOptions(directory: string, mounts: Mounted[], needsDevices: boolean): Result {
  const above = mounts.filter(({ point }) => point === '/' || point === directory || directory.startsWith(`${point}/`))
  const deepest = Math.max(...above.map(({ point }) => point.length))
  const holder = above.findLast(({ point }) => point.length === deepest)
  const bad = ['noexec', ...(needsDevices ? ['nodev'] : [])].filter((option) => holder?.options.includes(option))
  if (!holder || bad.length === 0) return fine('Programs can run below root.')
  const why = bad.includes('noexec') ? 'no program of a world or a jail could run' : 'debootstrap refuses to make a world there'
  return fault(
    `root is in ${holder.point}, which is mounted with ${bad.join(' and ')}: ${why}.`,
    `mount -o remount,${bad.map((option) => option.slice(2)).join(',')} ${holder.point}, in /etc/fstab too, or put root elsewhere.`,
  )
}
