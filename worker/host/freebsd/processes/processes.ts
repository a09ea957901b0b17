import type { RunCommand } from '../../programs/run-command.ts'

export type Process = { pid: number; jid: number; command: string }

/** Returns the processes of a jail by their ids on the host, without entering it. With none ps(1) prints nothing and exits 1. */
export async function processesOf(run: RunCommand, jid: number, signal?: AbortSignal): Promise<Process[]> {
  const args = ['-ww', '-J', `${jid}`, '-o', 'pid=', '-o', 'jid=', '-o', 'command=']
  const { stdout } = await run('ps', args, { okExitCodes: [1], signal })
  return stdout.split('\n').flatMap((line) => {
    const match = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line)
    return match ? [{ pid: Number(match[1]), jid: Number(match[2]), command: match[3] ?? '' }] : []
  })
}
