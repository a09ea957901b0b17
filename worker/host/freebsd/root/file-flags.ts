import type { RunCommand } from '../../programs/run-command.ts'

/**
 * What takes off a file every flag that keeps root from changing, renaming or removing it (chflags(1)): those of the system, which
 * base.txz has on /sbin/init and others, and those that a user may set, a jail's root too. rm(1) -f clears only some of them.
 */
export const noFlags = 'noschg,nosappnd,nosunlnk,nouchg,nouappnd,nouunlnk'

/** Clears the flags of files, links themselves and not what they lead to; of directories without what is in them. */
export async function clearFlags(run: RunCommand, paths: string[], signal?: AbortSignal): Promise<void> {
  if (paths.length > 0) await run('chflags', ['-h', noFlags, ...paths], { signal })
}

/** Clears the flags of all files in a tree. Follows no link. */
export async function clearFlagsBelow(run: RunCommand, directory: string, signal?: AbortSignal): Promise<void> {
  await run('chflags', ['-R', noFlags, directory], { signal })
}
