import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Without `env` it has the environment of the test process. */
export type Command = { program: string; args: string[]; env?: NodeJS.ProcessEnv }

const children = new Set<ChildProcess>()

function killChildren(): void {
  for (const child of children) child.kill('SIGKILL')
}

process.once('exit', killChildren)
// A signal ends this process without that event, and vitest ends its workers by one.
for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    killChildren()
    process.kill(process.pid, signal)
  })

/** Kills a child when the test process ends, however that ends. */
export function endWithTests(child: ChildProcess): void {
  children.add(child)
  child.once('exit', () => children.delete(child))
}

/** Processes under names, which are killed and started again. Their output is in a file of their name in `directory`. */
export function makeProcesses(directory: string) {
  const commands = new Map<string, Command>()
  const running: { name: string; child: ChildProcess }[] = []
  const logOf = (name: string) => join(directory, `${name}.log`)
  const child = (name: string) => running.find((each) => each.name === name)?.child

  /** Starts another process under a name that one may run under; the first one stays the one that is meant by the name. */
  function startTwin(name: string): ChildProcess {
    const command = commands.get(name)
    if (!command) throw new Error(`no process ${name}`)
    const log = openSync(logOf(name), 'a')
    const started = spawn(command.program, command.args, { stdio: ['ignore', log, log], env: command.env ?? process.env })
    closeSync(log)
    const entry = { name, child: started }
    running.push(entry)
    started.once('exit', () => running.splice(running.indexOf(entry), 1))
    endWithTests(started)
    return started
  }

  const start = (name: string): ChildProcess => child(name) ?? startTwin(name)

  return {
    define: (name: string, command: Command) => void commands.set(name, command),
    /** Starts a process unless it runs. */
    start,
    startTwin,
    /** Starts whatever does not run. */
    startAll: () => [...commands.keys()].forEach(start),
    /** Ends a process; returns its exit code, if it ran and was not killed. */
    async end(name: string, signal: NodeJS.Signals): Promise<number | null | undefined> {
      const ended = child(name)
      return ended && end(ended, signal)
    },
    killAll: () => Promise.all(running.map((each) => end(each.child, 'SIGKILL'))),
    /** Whether there was a process to send the signal to. */
    signal: (name: string, signal: 'SIGSTOP' | 'SIGCONT'): boolean => child(name)?.kill(signal) ?? false,
    /** The process that runs under a name. */
    child,
    log: (name: string) => readFile(logOf(name), 'utf8'),
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(child, 'exit')
  child.kill(signal)
  return (await exited)[0]
}
