import { chmodSync, chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { JailSpec } from '#shared/job.ts'
import type { LinuxHost } from '../linux-host.ts'
import { numbersOf } from '../processes/system-calls.ts'
import { leaseRange, rangeOf, rangeSize } from './id-range.ts'
import { isMountPoint, unmountBelow } from './mounts.ts'

/** The program that makes a jail's user namespace, where there is none, and mounts its root; and what it takes first. */
export const mountRootScript = [
  join(import.meta.dirname, 'mount-root.pl'),
  numbersOf('mount', 'setns', 'unshare', 'prlimit', 'prctl', 'setresuid', 'setresgid', 'setgroups'),
]

/**
 * Leases the jail its ids and makes the directory of what runc finds of it. Returns the first arguments of the program that makes a
 * namespace: one that is there stays, as the jail's network belongs to it.
 */
export async function prepareIds(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<string[]> {
  const paths = host.layout.jail(jail.name)
  mkdirSync(paths.directory, { recursive: true, mode: 0o700 })
  const before = rangeOf(host.layout, paths)
  const first = leaseRange(host.layout, paths)
  const isThere = isMountPoint(paths.userNamespace)
  if (isThere && first !== before) await unmountBelow(host.run, paths.userNamespace, signal)
  mkdirSync(paths.rootForRunc, { recursive: true, mode: 0o700 })
  for (const path of [host.layout.runDirectory, host.layout.jailsRun]) chmodSync(path, 0o711)
  chownSync(paths.runDirectory, 0, first)
  chmodSync(paths.runDirectory, 0o710)
  return [...mountRootScript, `${first}`, `${rangeSize}`, paths.userNamespace, isThere && first === before ? 'keep' : 'make']
}

/** Makes the jail's user namespace alone. */
export async function ensureUserNamespace(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  if (isMountPoint(host.layout.jail(jail.name).userNamespace)) return
  await host.run('perl', await prepareIds(host, jail, signal), { signal })
}
