import { readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import { unescapeOctal } from '../../files/paths.ts'
import type { RunCommand } from '../../programs/run-command.ts'

/** One line of /proc/PID/mountinfo, proc_pid_mountinfo(5). */
export type Mount = {
  /** `MAJOR:MINOR` of the file system. */
  device: string
  point: string
  options: string[]
  fsType: string
  superOptions: string[]
}

/** Returns the mounts that a process sees, in the order in which they were made. */
export function readMounts(pid: number | 'self' = 'self'): Mount[] {
  const text = readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
  return text.split('\n').filter(Boolean).map(parseMount)
}

export function parseMount(line: string): Mount {
  const [before = '', after = ''] = line.split(' - ')
  const [, , device = '', , point = '', options = ''] = before.split(' ')
  const [fsType = '', , superOptions = ''] = after.split(' ')
  return {
    device,
    point: unescapeOctal(point),
    options: options.split(','),
    fsType,
    superOptions: unescapeOctal(superOptions).split(','),
  }
}

/**
 * Whether something is mounted on a directory, or a namespace bound to a file: then it is on another device than the directory
 * around it. Cheaper than mountinfo, which has a line for every jail.
 */
export function isMountPoint(path: string): boolean {
  const at = statSync(path, { throwIfNoEntry: false })
  return at !== undefined && at.dev !== statSync(dirname(path)).dev
}

/** Returns the mount points at and below directories, the last mounted first; one that was mounted over is there twice. */
export function mountPointsBelow(...directories: string[]): string[] {
  return readMounts()
    .map(({ point }) => point)
    .filter((point) => directories.some((directory) => point === directory || point.startsWith(`${directory}/`)))
    .reverse()
}

/** Unmounts all at and below a directory, or several. @throws ProvostError `resource_busy` when something still uses one of them. */
export async function unmountBelow(run: RunCommand, directory: string | string[], signal?: AbortSignal): Promise<void> {
  const points = mountPointsBelow(...[directory].flat())
  if (points.length > 0) await unmount(run, points, signal)
  const left = mountPointsBelow(...[directory].flat())
  if (left.length > 0) throw new ProvostError('resource_busy', `Still mounted: ${left.join(', ')}.`)
}

/** @throws ProvostError `resource_busy` */
export async function unmount(run: RunCommand, points: string[], signal?: AbortSignal): Promise<void> {
  try {
    await run('umount', ['--no-canonicalize', ...points], { signal })
  } catch (error) {
    if (error instanceof ProvostError && /target is busy/.test(error.facts.logTail ?? ''))
      throw new ProvostError('resource_busy', `Something still uses ${points.join(', ')}.`, error.facts)
    throw error
  }
}
