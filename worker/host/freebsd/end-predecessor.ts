import { errnoOf, ProvostError } from '#shared/errors.ts'
import type { RunCommand } from '../run-command.ts'
import { waitUntil } from '../wait-until.ts'

const graceMs = 3_000
const killMs = 10_000
const pollMs = 50

/**
 * Ends what an earlier worker of this host left running. Its processes are known by their environment, which children
 * inherit; a jail's own do not have it. @throws ProvostError `resource_busy`
 */
export async function endPredecessor(run: RunCommand, worker: string): Promise<void> {
  for (const pid of await leftBy(run, worker)) kill(pid, 'SIGTERM')
  if (await waitUntil(async () => (await leftBy(run, worker)).length === 0, graceMs, undefined, pollMs)) return
  const gone = async () => {
    const left = await leftBy(run, worker)
    for (const pid of left) kill(pid, 'SIGKILL')
    return left.length === 0
  }
  if (await waitUntil(gone, killMs, undefined, pollMs)) return
  const left = await leftBy(run, worker)
  throw new ProvostError('resource_busy', `Processes of an earlier worker do not end: ${left.join(', ')}.`)
}

/** All that carry the mark, but for this process and what it has started itself. ps(1) -e shows the environment too. */
async function leftBy(run: RunCommand, worker: string): Promise<number[]> {
  const columns = ['pid=', 'ppid=', 'jid=', 'command='].flatMap((column) => ['-o', column])
  return marked((await run('ps', ['-axeww', ...columns])).stdout, worker, process.pid)
}

/** Of what ps(1) printed. A client may write our mark into what runs in its jail: only the host's own count. */
export function marked(text: string, worker: string, own: number): number[] {
  return text.split('\n').flatMap((line) => {
    const [pid, parent, jid, ...words] = line.trim().split(/\s+/)
    const isLeft = jid === '0' && words.includes(`PROVOST_WORKER=${worker}`)
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
