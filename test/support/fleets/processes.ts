import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

const main = (service: Service) => join(import.meta.dirname, '..', '..', '..', service, 'main.ts')

export type Service = 'producer' | 'worker'
type Start = { service: Service; env: NodeJS.ProcessEnv; entered?: string[] }

/** Services as processes of their own, each under a name; what they say is in a file of that name in `directory`. */
export function serviceProcesses(directory: string) {
  const started: { name: string; child: ChildProcess }[] = []
  const logOf = (name: string) => join(directory, `${name}.log`)

  /** The one under a name that runs; a second one may have been refused. */
  const running = (name: string) => started.find((each) => each.name === name && isAlive(each.child))?.child

  return {
    /** `entered`: a command that becomes the service, somewhere else. */
    start(name: string, { service, env, entered = [] }: Start): ChildProcess {
      const [program = '', ...args] = [...entered, process.execPath, main(service)]
      const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
      const log = createWriteStream(logOf(name), { flags: 'a' })
      child.stdout?.pipe(log, { end: false })
      child.stderr?.pipe(log, { end: false })
      started.push({ name, child })
      return child
    },
    /** Ends a service; gives its exit code. */
    async end(name: string, signal: NodeJS.Signals): Promise<number | null> {
      const child = running(name)
      if (!child) return started.findLast((each) => each.name === name)?.child.exitCode ?? null
      const exited = once(child, 'exit')
      child.kill(signal)
      return (await exited)[0]
    },
    names: () => [...new Set(started.map(({ name }) => name))],
    pid: (name: string) => running(name)?.pid,
    child: running,
    log: (name: string) => readFile(logOf(name), 'utf8'),
  }
}

function isAlive(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}
