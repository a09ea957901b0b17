import { endProcesses } from '../../programs/end-processes.ts'
import type { RunCommand } from '../../programs/run-command.ts'

const pollMs = 50

/**
 * Ends what an earlier worker of this host left running. Its processes are known by their environment, which children
 * inherit; a jail's own do not have it. @throws ProvostError `resource_busy`
 */
export function endPredecessor(run: RunCommand, worker: string): Promise<void> {
  return end(run, [`PROVOST_WORKER=${worker}`], 'Processes of an earlier worker')
}

/** Ends what a worker has started for an operation, and what that has started. @throws ProvostError `resource_busy` */
export function endProcessesOf(run: RunCommand, worker: string, operation: string): Promise<void> {
  return end(run, [`PROVOST_WORKER=${worker}`, `PROVOST_OPERATION=${operation}`], `Processes of operation ${operation}`)
}

/** Looks with ps(1), whose -e shows the environment, too. */
function end(run: RunCommand, marks: string[], what: string): Promise<void> {
  const args = ['-axeww', ...['pid=', 'ppid=', 'jid=', 'command='].flatMap((column) => ['-o', column])]
  return endProcesses(async () => marked((await run('ps', args)).stdout, marks, process.pid), what, pollMs)
}

/**
 * Returns the marked processes in the output of ps(1), except the process `own` and what it has started itself. A client may
 * write our marks into what runs in its jail: only the host's own processes count.
 */
export function marked(text: string, marks: string[], own: number): number[] {
  return text.split('\n').flatMap((line) => {
    const [pid, parent, jid, ...words] = line.trim().split(/\s+/)
    const isLeft = jid === '0' && marks.every((mark) => words.includes(mark))
    return isLeft && Number(pid) !== own && Number(parent) !== own ? [Number(pid)] : []
  })
}
