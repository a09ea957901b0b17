import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { join } from 'node:path'

type Command = { program: string; args: string[]; env?: NodeJS.ProcessEnv }

export type Processes = ReturnType<typeof makeProcesses>

const mine = new Set<ChildProcess>()
// Whatever ends a trial, it leaves nothing running.
process.once('exit', () => {
  for (const child of mine) child.kill('SIGKILL')
})

/** Processes under names, which are killed and started again. What they say is in a file of their name in `directory`. */
export function makeProcesses(directory: string) {
  const commands = new Map<string, Command>()
  const running = new Map<string, ChildProcess>()

  function start(name: string): void {
    if (running.has(name)) return
    const { program, args, env } = commands.get(name) as Command
    const log = openSync(join(directory, `${name}.log`), 'a')
    const child = spawn(program, args, { stdio: ['ignore', log, log], ...(env ? { env } : {}) })
    mine.add(child)
    running.set(name, child)
    child.once('exit', () => {
      mine.delete(child)
      if (running.get(name) === child) running.delete(name)
    })
  }

  async function kill(name: string): Promise<void> {
    const child = running.get(name)
    if (!child) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  return {
    define: (name: string, command: Command) => void commands.set(name, command),
    start,
    kill,
    signal: (name: string, signal: 'SIGSTOP' | 'SIGCONT') => void running.get(name)?.kill(signal),
    /** Starts whatever has ended. */
    startAll: () => [...commands.keys()].forEach(start),
    killAll: () => Promise.all([...running.keys()].map(kill)),
  }
}
