import type { CommandState, Jail, JailCommand } from '#shared/jail.ts'

/** The signals that have one number on Linux and FreeBSD (signal(7), signal(3)). */
const signals: Record<number, string> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  3: 'SIGQUIT',
  4: 'SIGILL',
  6: 'SIGABRT',
  8: 'SIGFPE',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  13: 'SIGPIPE',
  14: 'SIGALRM',
  15: 'SIGTERM',
}
const yetToStart: Jail['state'][] = ['queued', 'building', 'built', 'starting']

/** Returns what a jail's own command does. `told`: what the host has said of it since the jail runs. */
export function toJailCommand(argv: string[], jail: Jail['state'], told: CommandState | undefined): JailCommand {
  if (yetToStart.includes(jail)) return { argv, state: 'starting', startedAt: null }
  if (!told) return { argv, state: jail === 'running' ? 'running' : 'exited', startedAt: null }
  const { startedAt, endedAt, exitCode } = told
  if (told.state === 'running') return { argv, state: 'running', startedAt }
  const signal = exitCode === null ? undefined : signals[exitCode - 128]
  return {
    ...{ argv, state: 'exited', startedAt },
    ...(exitCode === null ? {} : { exitCode }),
    ...(signal ? { signal } : {}),
    ...(endedAt === null ? {} : { endedAt }),
  }
}
