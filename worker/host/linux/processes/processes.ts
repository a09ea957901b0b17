import { readFileSync, readlinkSync } from 'node:fs'
import { errnoOf } from '#shared/errors.ts'

// Files of /proc are memory of the kernel: a synchronous read takes microseconds, one through Node's threads ten times that.

/** Returns the fields of /proc/PID/status, proc_pid_status(5); undefined when the process is gone. `proc` may be a jail's. */
export function readStatus(pid: number, proc = '/proc'): Map<string, string> | undefined {
  const text = readOfProcess(pid, 'status', proc)
  if (text === undefined) return undefined
  return new Map(text.split('\n').map((line) => line.split(/:\s*/, 2) as [string, string]))
}

/** Returns a process's id in its own PID namespace, the innermost. */
export function ownId(status: Map<string, string> | undefined): number | undefined {
  const id = status?.get('NSpid')?.split(/\s+/).at(-1)
  return id === undefined ? undefined : Number(id)
}

export function isAlive(status: Map<string, string> | undefined): boolean {
  return status !== undefined && !/^[ZX]/.test(status.get('State') ?? 'X')
}

export function readOfProcess(pid: number | 'self', file: string, proc = '/proc'): string | undefined {
  return undefinedWhenGone(() => readFileSync(`${proc}/${pid}/${file}`, 'utf8'))
}

/** Returns a process's first environment; undefined also where even root may not look, as at a sandbox's own first process. */
export function environmentOf(pid: number): string | undefined {
  try {
    return readOfProcess(pid, 'environ')
  } catch (error) {
    if (errnoOf(error) === 'EACCES' || errnoOf(error) === 'EPERM') return undefined
    throw error
  }
}

export type Namespace = 'pid' | 'mnt' | 'net' | 'uts' | 'ipc' | 'cgroup' | 'user'
export const namespaces: Namespace[] = ['pid', 'mnt', 'net', 'uts', 'ipc', 'cgroup', 'user']

/** Returns the identity of a namespace, like `net:[4026531840]`; undefined when the process is gone. */
export function namespaceOf(pid: number | 'self', namespace: Namespace): string | undefined {
  return undefinedWhenGone(() => readlinkSync(`/proc/${pid}/ns/${namespace}`))
}

function undefinedWhenGone<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return undefined
    throw error
  }
}
