import { readdirSync } from 'node:fs'
import { ProvostError } from '#shared/errors.ts'
import { waitUntil } from '../wait-until.ts'
import { environmentOf, isAlive, killProcess, readStatus } from './processes.ts'

const graceMs = 3_000
const killMs = 10_000

/**
 * Ends what an earlier worker of this host left running. Its processes are known by their environment, which children
 * inherit; a jail's own processes do not have it. @throws ProvostError `resource_busy`
 */
export async function endPredecessor(worker: string): Promise<void> {
  for (const pid of processesOf(worker)) killProcess(pid, 'SIGTERM')
  if (await waitUntil(() => processesOf(worker).length === 0, graceMs)) return
  const gone = () => {
    const processes = processesOf(worker)
    for (const pid of processes) killProcess(pid, 'SIGKILL')
    return processes.length === 0
  }
  if (await waitUntil(gone, killMs)) return
  throw new ProvostError('resource_busy', `Processes of an earlier worker do not end: ${processesOf(worker).join(', ')}.`)
}

/** All that carry the mark, but for this process and what it has started itself. */
function processesOf(worker: string): number[] {
  const pids = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
  return pids.filter((pid) => pid !== process.pid && isLeft(pid, worker))
}

function isLeft(pid: number, worker: string): boolean {
  if (!environmentOf(pid)?.split('\0').includes(`PROVOST_WORKER=${worker}`)) return false
  const status = readStatus(pid)
  return isAlive(status) && status?.get('PPid') !== `${process.pid}`
}
