import { ProvostError } from '#shared/errors.ts'
import { fault, fine, type Result } from '../host/checks/check-result.ts'
import { existingAbove } from '../host/files/paths.ts'
import type { RunCommand } from '../host/programs/run-command.ts'
import { freeBytes } from '../worlds/files/free-bytes.ts'

/** Room for a base.txz and its tree, and as much again for what the first jails write. */
const neededBytes = 3 * 1024 ** 3

/** Checks the room for worlds and jails. `root` is a directory or a ZFS dataset, and need not be there yet. */
export async function checkFreeSpace(root: string, run: RunCommand, needed = neededBytes): Promise<Result> {
  const place = root.startsWith('/') ? existingAbove(root) : root
  const free = root.startsWith('/') ? await freeBytes(place) : await availableTo(root, run)
  if (free >= needed) return fine(`${gibibytes(free)} are free in ${place}.`)
  return fault(
    `Only ${gibibytes(free)} are free in ${place}, and worlds and jails need at least ${gibibytes(needed)}.`,
    'Free some space, or put root on a larger disk.',
  )
}

/** Returns the bytes that a dataset may still take, by its quota and those above (zfs(8)); a new one has what its parent has. */
async function availableTo(dataset: string, run: RunCommand): Promise<number> {
  const list = (name: string) => run('zfs', ['list', '-H', '-p', '-o', 'available', name])
  const parent = dataset.slice(0, dataset.lastIndexOf('/'))
  try {
    return Number((await list(dataset)).stdout)
  } catch (error) {
    if (parent === '' || !(error instanceof ProvostError) || error.code !== 'command_failed') throw error
    return availableTo(parent, run)
  }
}

function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`
}
