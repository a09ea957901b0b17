import { readdirSync } from 'node:fs'
import { endProcesses } from '../../programs/end-processes.ts'
import { environmentOf, isAlive, readStatus } from './processes.ts'

/**
 * Ends what an earlier worker of this host left running. Its processes are known by their environment, which children
 * inherit; a jail's own processes do not have it. @throws ProvostError `resource_busy`
 */
export function endPredecessor(worker: string): Promise<void> {
  const isOurs = (pid: number) => readStatus(pid)?.get('PPid') === `${process.pid}`
  const left = () => processesWith([`PROVOST_WORKER=${worker}`]).filter((pid) => !isOurs(pid))
  return endProcesses(left, 'Processes of an earlier worker')
}

/** Ends what a worker has started for an operation, and what that has started. @throws ProvostError `resource_busy` */
export function endProcessesOf(worker: string, operation: string): Promise<void> {
  const left = () => processesWith([`PROVOST_WORKER=${worker}`, `PROVOST_OPERATION=${operation}`])
  return endProcesses(left, `Processes of operation ${operation}`)
}

/** Returns all processes with these marks in their environment, except this one. */
function processesWith(marks: string[]): number[] {
  const pids = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
  return pids.filter((pid) => {
    const environment = pid === process.pid ? undefined : environmentOf(pid)?.split('\0')
    return environment && marks.every((mark) => environment.includes(mark)) && isAlive(readStatus(pid))
  })
}
