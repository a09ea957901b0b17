import { errnoOf, ProvostError } from '#shared/errors.ts'
import { waitUntil } from '../wait-until.ts'

const graceMs = 3_000
const killMs = 10_000

/**
 * Ends processes with SIGTERM, then with SIGKILL those that are left. `left` returns their ids at each look.
 * @throws ProvostError `resource_busy`
 */
export async function endProcesses(left: () => number[] | Promise<number[]>, what: string, pollMs?: number): Promise<void> {
  for (const pid of await left()) killProcess(pid, 'SIGTERM')
  if (await waitUntil(async () => (await left()).length === 0, graceMs, undefined, pollMs)) return
  const gone = async () => {
    const processes = await left()
    for (const pid of processes) killProcess(pid, 'SIGKILL')
    return processes.length === 0
  }
  if (await waitUntil(gone, killMs, undefined, pollMs)) return
  throw new ProvostError('resource_busy', `${what} do not end: ${(await left()).join(', ')}.`)
}

/** Sends a signal; a process that is gone already needs none. */
export function killProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}
