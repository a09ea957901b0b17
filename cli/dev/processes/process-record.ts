import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { errnoOf } from '#shared/errors.ts'

/** A process and its start time: its pid alone may belong to another process by now. */
export type ProcessRecord = { name: string; pid: number; startedAt: string }

const pollMs = 20

/** Records a process that has just been started. @throws Error when it has already ended */
export function recordProcess(name: string, pid: number): ProcessRecord {
  const startedAt = startOf(pid)
  if (startedAt === undefined) throw new Error(`${name} ended as soon as it was started.`)
  return { name, pid, startedAt }
}

export function isRunning({ pid, startedAt }: ProcessRecord): boolean {
  return startOf(pid) === startedAt
}

/** Ends a process, not necessarily a child: sends SIGTERM, and SIGKILL after `patienceMs`. Waits until it has ended. */
export async function endProcess(record: ProcessRecord, patienceMs: number): Promise<void> {
  signal(record, 'SIGTERM')
  const deadline = performance.now() + patienceMs
  while (isRunning(record)) {
    if (performance.now() > deadline) signal(record, 'SIGKILL')
    await pause(pollMs)
  }
}

/** Sends a signal to a process if it still runs. */
export function signal(record: ProcessRecord, name: NodeJS.Signals): void {
  try {
    if (isRunning(record)) process.kill(record.pid, name)
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}

/** The boot id and the start time in clock ticks since that boot (proc_pid_stat(5), field 22); undefined for none or a zombie. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may itself contain spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${fields[19]}`
  } catch {
    return undefined
  }
}
