import { ProvostError } from '#shared/errors.ts'
import { unescapeOctal } from '../../files/paths.ts'
import type { RunCommand } from '../../programs/run-command.ts'

export type Mount = { device: string; point: string; fsType: string; options: string[] }

/** Returns all mounts of the host in the order in which they were made: `mount -p` prints them as fstab(5). */
export async function readMounts(run: RunCommand, signal?: AbortSignal): Promise<Mount[]> {
  const { stdout } = await run('mount', ['-p'], { signal })
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [device = '', point = '', fsType = '', options = ''] = line.split(/\s+/).map(unescapeOctal)
      return { device, point, fsType, options: options.split(',') }
    })
}

export function isBelow(path: string, directory: string): boolean {
  return path.startsWith(`${directory}/`)
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
