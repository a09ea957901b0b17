import { readdirSync } from 'node:fs'
import { ProvostError } from '#shared/errors.ts'
import { waitUntil } from '../../wait-until.ts'
import { environmentOf, isAlive, killProcess, readStatus } from './processes.ts'

const graceMs = 3_000
const killMs = 10_000

/**
 * Ends what an earlier worker of this host left running. Its processes are known by their environment, which children
 * inherit; a jail's own processes do not have it. @throws ProvostError `resource_busy`
 */
export function endPredecessor(worker: string): Promise<void> {
  const isOurs = (pid: number) => readStatus(pid)?.get('PPid') === `${process.pid}`
  const left = () => processesWith([`PROVOST_WORKER=${worker}`]).filter((pid) => !isOurs(pid))
  return end(left, 'Processes of an earlier worker')
}

/** Ends what a worker has started for an operation and what that has started. @throws ProvostError `resource_busy` */
export function endProcessesOf(worker: string, operation: string): Promise<void> {
  const left = () => processesWith([`PROVOST_WORKER=${worker}`, `PROVOST_OPERATION=${operation}`])
  return end(left, `Processes of operation ${operation}`)
}

async function end(left: () => number[], what: string): Promise<void> {
  for (const pid of left()) killProcess(pid, 'SIGTERM')
  if (await waitUntil(() => left().length === 0, graceMs)) return
  const gone = () => {
    const processes = left()
    for (const pid of processes) killProcess(pid, 'SIGKILL')
    return processes.length === 0
  }
  if (await waitUntil(gone, killMs)) return
  throw new ProvostError('resource_busy', `${what} do not end: ${left().join(', ')}.`)
}

/** All that carry these marks, but for this process. */
function processesWith(marks: string[]): number[] {
  const pids = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
  return pids.filter((pid) => {
    const environment = pid === process.pid ? undefined : environmentOf(pid)?.split('\0')
    return environment && marks.every((mark) => environment.includes(mark)) && isAlive(readStatus(pid))
  })
}
