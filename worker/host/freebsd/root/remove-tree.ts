import { ProvostError } from '#shared/errors.ts'
import type { RunCommand } from '../../programs/run-command.ts'
import { clearFlagsBelow } from './file-flags.ts'
import { isBelow, readMounts } from './mounts.ts'

/**
 * Removes a tree that a jail may have written. chflags(1) -R and rm(1) -r follow no link, and -x stays on the file system:
 * through a nullfs(5) that is still mounted they would remove files of the host.
 * @throws ProvostError `resource_busy` while anything is mounted in it.
 */
export async function removeTree(run: RunCommand, directory: string, signal?: AbortSignal): Promise<void> {
  const mounted = (await readMounts(run, signal)).filter(({ point }) => point === directory || isBelow(point, directory))
  if (mounted.length > 0) {
    const points = mounted.map(({ point }) => point).join(', ')
    throw new ProvostError('resource_busy', `Not removed, because it is mounted: ${points}.`)
  }
  await clearFlagsBelow(run, directory, signal)
  await run('rm', ['-rfx', directory], { signal })
}
