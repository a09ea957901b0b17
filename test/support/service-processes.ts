import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

const main = (service: Service) => join(import.meta.dirname, '..', '..', service, 'main.ts')

export type Service = 'producer' | 'worker'
type Start = { service: Service; env: NodeJS.ProcessEnv; entered?: string[] }

/** Services as processes of their own, each under a name; what they say is in a file of that name in `directory`. */
export function serviceProcesses(directory: string) {
  const running = new Map<string, ChildProcess>()
  const logOf = (name: string) => join(directory, `${name}.log`)

  return {
    /** `entered`: a command that becomes the service, somewhere else. */
    start(name: string, { service, env, entered = [] }: Start): ChildProcess {
      const [program = '', ...args] = [...entered, process.execPath, main(service)]
      const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
      const log = createWriteStream(logOf(name), { flags: 'a' })
      child.stdout?.pipe(log, { end: false })
      child.stderr?.pipe(log, { end: false })
      running.set(name, child)
      return child
    },
    /** Ends a service; gives its exit code. */
    async end(name: string, signal: NodeJS.Signals): Promise<number | null> {
      const child = running.get(name)
      running.delete(name)
      if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
      const exited = once(child, 'exit')
      child.kill(signal)
      return (await exited)[0]
    },
    names: () => [...running.keys()],
    pid: (name: string) => running.get(name)?.pid,
    log: (name: string) => readFile(logOf(name), 'utf8'),
  }
}
