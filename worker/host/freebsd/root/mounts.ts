import { ProvostError } from '#shared/errors.ts'
import type { RunCommand } from '../../run-command.ts'

export type Mount = { device: string; point: string; fsType: string }

/** All mounts of the host in the order in which they were made: `mount -p` prints them as fstab(5). */
export async function readMounts(run: RunCommand, signal?: AbortSignal): Promise<Mount[]> {
  const { stdout } = await run('mount', ['-p'], signal ? { signal } : {})
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [device = '', point = '', fsType = ''] = line.split(/\s+/).map(unescapeOctal)
      return { device, point, fsType }
    })
}

export function isBelow(path: string, directory: string): boolean {
  return path.startsWith(`${directory}/`)
}

/** Unmounts what is mounted below a directory, the last first. @throws ProvostError `resource_busy` */
export async function unmountBelow(run: RunCommand, directory: string, signal?: AbortSignal): Promise<void> {
  const below = async () => (await readMounts(run, signal)).filter(({ point }) => isBelow(point, directory)).reverse()
  const found = await below()
  if (found.length === 0) return
  for (const { point } of found) {
    try {
      await run('umount', [point], signal ? { signal } : {})
    } catch (error) {
      // Never forced (umount(8), -f): a nullfs(5) that is pulled away under a process may lose what it wrote.
      if (error instanceof ProvostError && /busy/i.test(error.facts.logTail ?? '')) continue
      throw error
    }
  }
  const left = await below()
  if (left.length > 0) throw new ProvostError('resource_busy', `Still mounted: ${left.map(({ point }) => point).join(', ')}.`)
}

/** fstab(5) writes a blank in a path as \040. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}
