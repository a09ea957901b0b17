import { errnoOf, ProvostError } from '#shared/errors.ts'
import type { RunCommand } from '../../run-command.ts'
import { waitUntil } from '../../wait-until.ts'

const graceMs = 3_000
const killMs = 10_000
const pollMs = 50

/**
 * Ends what an earlier worker of this host left running. Its processes are known by their environment, which children
 * inherit; a jail's own do not have it. @throws ProvostError `resource_busy`
 */
export function endPredecessor(run: RunCommand, worker: string): Promise<void> {
  return end(run, [`PROVOST_WORKER=${worker}`], 'Processes of an earlier worker')
}

/** Ends what a worker has started for an operation and what that has started. @throws ProvostError `resource_busy` */
export function endProcessesOf(run: RunCommand, worker: string, operation: string): Promise<void> {
  return end(run, [`PROVOST_WORKER=${worker}`, `PROVOST_OPERATION=${operation}`], `Processes of operation ${operation}`)
}

async function end(run: RunCommand, marks: string[], what: string): Promise<void> {
  for (const pid of await leftBy(run, marks)) kill(pid, 'SIGTERM')
  if (await waitUntil(async () => (await leftBy(run, marks)).length === 0, graceMs, undefined, pollMs)) return
  const gone = async () => {
    const left = await leftBy(run, marks)
    for (const pid of left) kill(pid, 'SIGKILL')
    return left.length === 0
  }
  if (await waitUntil(gone, killMs, undefined, pollMs)) return
  throw new ProvostError('resource_busy', `${what} do not end: ${(await leftBy(run, marks)).join(', ')}.`)
}

/** All that carry the marks, but for this process and what it has started itself, as ps(1): its -e shows the environment too. */
async function leftBy(run: RunCommand, marks: string[]): Promise<number[]> {
  const columns = ['pid=', 'ppid=', 'jid=', 'command='].flatMap((column) => ['-o', column])
  return marked((await run('ps', ['-axeww', ...columns])).stdout, marks, process.pid)
}

/** Of what ps(1) printed. A client may write our marks into what runs in its jail: only the host's own count. */
export function marked(text: string, marks: string[], own: number): number[] {
  return text.split('\n').flatMap((line) => {
    const [pid, parent, jid, ...words] = line.trim().split(/\s+/)
    const isLeft = jid === '0' && marks.every((mark) => words.includes(mark))
    return isLeft && Number(pid) !== own && Number(parent) !== own ? [Number(pid)] : []
  })
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}
