import { readFile, readlink } from 'node:fs/promises'
import { errnoOf } from '#shared/errors.ts'

/** Fields of /proc/PID/status, proc_pid_status(5); undefined when the process is gone. */
export async function readStatus(pid: number): Promise<Map<string, string> | undefined> {
  const text = await readOfProcess(pid, 'status')
  if (text === undefined) return undefined
  return new Map(text.split('\n').map((line) => line.split(/:\s*/, 2) as [string, string]))
}

/** Ids of a process from the outermost PID namespace to its own. */
export function idsInNamespaces(status: Map<string, string>): number[] {
  return (status.get('NSpid') ?? '').split(/\s+/).map(Number)
}

export function isAlive(status: Map<string, string> | undefined): boolean {
  return status !== undefined && !/^[ZX]/.test(status.get('State') ?? 'X')
}

export async function readOfProcess(pid: number, file: string): Promise<string | undefined> {
  return readFile(`/proc/${pid}/${file}`, 'utf8').catch(undefinedWhenGone)
}

export type Namespace = 'pid' | 'mnt' | 'net' | 'uts' | 'ipc' | 'cgroup'
export const namespaces: Namespace[] = ['pid', 'mnt', 'net', 'uts', 'ipc', 'cgroup']

/** The identity of a namespace, like `net:[4026531840]`; undefined when the process is gone. */
export async function namespaceOf(pid: number | 'self', namespace: Namespace): Promise<string | undefined> {
  return readlink(`/proc/${pid}/ns/${namespace}`).catch(undefinedWhenGone)
}

function undefinedWhenGone(error: unknown): undefined {
  if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return undefined
  throw error
}
