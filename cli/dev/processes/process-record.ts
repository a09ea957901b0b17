import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { errnoOf } from '#shared/errors.ts'

/** A process and when it was started: a pid alone may be someone else's by now. */
export type ProcessRecord = { name: string; pid: number; startedAt: string }

const pollMs = 20

/** @throws Error when the process is not there any more. */
export function recordProcess(name: string, pid: number): ProcessRecord {
  const startedAt = startOf(pid)
  if (startedAt === undefined) throw new Error(`${name} ended as soon as it was started.`)
  return { name, pid, startedAt }
}

export function isRunning({ pid, startedAt }: ProcessRecord): boolean {
  return startOf(pid) === startedAt
}

/** Ends a process that need not be a child of this one: asks it to, and after `patienceMs` makes it. */
export async function endProcess(record: ProcessRecord, patienceMs: number): Promise<void> {
  signal(record, 'SIGTERM')
  const deadline = performance.now() + patienceMs
  while (isRunning(record)) {
    if (performance.now() > deadline) signal(record, 'SIGKILL')
    await pause(pollMs)
  }
}

export function signal(record: ProcessRecord, name: NodeJS.Signals): void {
  try {
    if (isRunning(record)) process.kill(record.pid, name)
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}

/** The boot and the start time in clock ticks since it (proc_pid_stat(5), field 22); undefined for none or a zombie. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold anything, also spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${fields[19]}`
  } catch {
    return undefined
  }
}
