import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, closeSync, openSync } from 'node:fs'
import { constants } from 'node:os'
import type { Answer, Kernel, KernelJail, Left } from './kernel.ts'

/** What a command in a jail does where it is not really run: the last word of its arguments may say how it ends. */
export type InJail = (jail: KernelJail, argv: string[]) => Answer & { console?: string }

export function pretend(inJail: InJail): Kernel['inJail'] {
  return async (jail, argv, log) => {
    const { console: text, ...given } = inJail(jail, argv)
    if (log && text) appendFileSync(log, text)
    return { exitCode: 0, ...given }
  }
}

export function leavePretended(inJail: InJail, jail: KernelJail, { argv, log, ended }: Left): void {
  const { console: text, exitCode } = inJail(jail, argv)
  if (log && text) appendFileSync(log, text)
  if (exitCode === undefined) jail.processes.add({ pid: 50_000 + jail.jid, command: argv.join(' ') })
  else ended(exitCode)
}

const environment = { PATH: '/bin:/usr/bin', HOME: '/', TERM: 'dumb' }

export async function reallyRun(jail: KernelJail, argv: string[], log: string | undefined): Promise<Answer> {
  const child = start(jail, argv, log)
  return new Promise((resolve, reject) => {
    child.once('exit', (code, signal) => resolve({ exitCode: code ?? 1, ...(signal ? { signal } : {}) }))
    child.once('error', reject)
  })
}

export function reallyLeave(jail: KernelJail, { argv, log, ended }: Left): void {
  const child = start(jail, argv, log)
  const process = { pid: child.pid ?? 0, command: argv.join(' '), child }
  jail.processes.add(process)
  child.once('exit', (code, signal) => {
    jail.processes.delete(process)
    // As sh(1) sees it. A jail that is gone has taken what was noted with it.
    if (jail.dyingFor === undefined) ended(code ?? 128 + (signal ? constants.signals[signal] : 0))
  })
  child.once('error', () => jail.processes.delete(process))
  child.unref()
}

function start(jail: KernelJail, argv: string[], log: string | undefined): ChildProcess {
  const output = log ? openSync(log, 'a', 0o600) : 'ignore'
  const child = spawn('/usr/sbin/chroot', [jail.path, ...argv], {
    stdio: ['ignore', output, output],
    env: environment,
    detached: true,
  })
  if (typeof output === 'number') closeSync(output)
  return child
}
