import { lstatSync } from 'node:fs'
import { ProvostError } from '#shared/errors.ts'
import type { RunCommand } from '../../programs/run-command.ts'

export type Mount = { device: string; point: string; fsType: string; options: string[] }

type Printed = { device?: string; mntpoint?: string; fstype?: string; opts?: string }

/**
 * Returns all mounts of the host in the order in which they were made. By libxo(3): the text of `mount -p` has blanks in paths as they are,
 * and one blank for its separator after a long name.
 */
export async function readMounts(run: RunCommand, signal?: AbortSignal): Promise<Mount[]> {
  const { stdout } = await run('mount', ['--libxo', 'json', '-p'], { signal })
  return listIn(stdout).map(({ device = '', mntpoint = '', fstype = '', opts = '' }) => ({
    device,
    point: mntpoint,
    fsType: fstype,
    options: opts.trim().split(','),
  }))
}

/** libxo(3) prints a tab in a name as it is, which is not JSON; there is none outside of names. */
function listIn(json: string): Printed[] {
  try {
    const list = JSON.parse(json.replaceAll('\t', '\\t'))?.mount?.fstab
    if (Array.isArray(list)) return list
  } catch {
    // Said below.
  }
  throw new ProvostError('command_failed', `mount gave no list of mounts: ${json.slice(0, 200)}`)
}

export function isBelow(path: string, directory: string): boolean {
  return path.startsWith(`${directory}/`)
}

/**
 * Unmounts what is mounted on a directory, however often; nothing, where nothing is. It must be below a root in which nothing runs any more:
 * umount(8) resolves its argument, so that a link there, which is refused, would lead it to a mount of the host.
 * @throws ProvostError `resource_busy`
 */
export async function unmountDirectory(run: RunCommand, directory: string, signal?: AbortSignal): Promise<void> {
  if (!lstatSync(directory, { throwIfNoEntry: false })?.isDirectory()) return
  for (;;) {
    const { exitCode, stderr } = await run('umount', [directory], { okExitCodes: [1], signal })
    if (exitCode === 0) continue
    if (/: not a file system root directory$/m.test(stderr)) return
    if (/busy/i.test(stderr)) throw new ProvostError('resource_busy', `Still mounted: ${directory}.`)
    throw new ProvostError('command_failed', stderr.trim(), { command: `umount ${directory}`, exitCode, logTail: stderr })
  }
}

/** Unmounts what is mounted below a directory, the last first. @throws ProvostError `resource_busy` */
export async function unmountBelow(run: RunCommand, directory: string, signal?: AbortSignal): Promise<void> {
  const below = async () => (await readMounts(run, signal)).filter(({ point }) => isBelow(point, directory)).reverse()
  const mounts = await below()
  if (mounts.length === 0) return
  for (const { point } of mounts) {
    try {
      await run('umount', [point], { signal })
    } catch (error) {
      // Never forced (umount(8), -f): a nullfs(5) that is unmounted under a process may lose what that wrote.
      if (error instanceof ProvostError && /busy/i.test(error.facts.logTail ?? '')) continue
      throw error
    }
  }
  const left = await below()
  if (left.length > 0) throw new ProvostError('resource_busy', `Still mounted: ${left.map(({ point }) => point).join(', ')}.`)
}
