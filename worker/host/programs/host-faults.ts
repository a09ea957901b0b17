import type { ErrorCode } from '#shared/errors.ts'

type HostFault = Extract<ErrorCode, 'disk_full' | 'host_exhausted'>

/**
 * By what a program printed, which fault of its host it met. Programs in Go write these messages in lower case, FreeBSD says
 * `Disc quota exceeded`, zfs(8) `out of space`. Namespaces beyond their number are ENOSPC, too: namespaces(7).
 */
const messages: [RegExp, HostFault][] = [
  [/unshare(?: failed)?: No space left on device/i, 'host_exhausted'],
  [/No space left on device|Dis[ck] quota exceeded|out of space/i, 'disk_full'],
  [/Resource temporarily unavailable|Cannot allocate memory|Too many open files|cannot fork|can't fork/i, 'host_exhausted'],
  [/failed to create new OS thread/, 'host_exhausted'],
]

/** Returns the fault of the host that a program's output names; undefined when it names none. */
export function faultNamedIn(output: string): HostFault | undefined {
  return messages.find(([pattern]) => pattern.test(output))?.[1]
}

const said = {
  disk_full: 'The disk of the host is full',
  host_exhausted: 'The host has no room for another process, its memory or its files',
} as const satisfies Record<HostFault, string>

/** Returns the message of such a fault, with what the program said. */
export function describeFault(fault: HostFault, program: string, line: string | undefined): string {
  return `${said[fault]}${line ? `: ${program}: ${line}` : '.'}`
}
