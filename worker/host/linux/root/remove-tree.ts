import { ProvostError } from '#shared/errors.ts'
import type { RunCommand } from '../../programs/run-command.ts'
import { mountPointsBelow } from './mounts.ts'

/**
 * Removes a tree that a jail may have written. rm(1) walks by file descriptor, so it follows no link and can remove paths longer
 * than PATH_MAX, unlike a removal path by path; and it stays on the file system on which it started.
 * @throws ProvostError `resource_busy` while anything is mounted in it.
 */
export async function removeTree(run: RunCommand, directory: string, signal?: AbortSignal): Promise<void> {
  const mounted = mountPointsBelow(directory)
  if (mounted.length > 0) throw new ProvostError('resource_busy', `Not removed, because it is mounted: ${mounted.join(', ')}.`)
  await run('rm', ['-rf', '--one-file-system', '--', directory], { signal })
}
