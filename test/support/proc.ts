import { readdirSync, readFileSync } from 'node:fs'

/** The ids of all processes on this machine. */
export function pids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

/** A file of a process in /proc; empty once the process has ended. */
export function readProc(pid: number, file: 'cgroup' | 'cmdline' | 'environ'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
