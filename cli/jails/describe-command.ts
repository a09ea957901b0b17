import type { JailCommand } from '#shared/jail.ts'

/** Says since when a jail's own command runs, or how it ended. */
export function describeCommand({ state, exitCode, signal, startedAt, endedAt }: JailCommand): string {
  if (state === 'starting') return 'starts with its jail'
  if (state === 'running') return startedAt ? `runs since ${startedAt}` : 'runs'
  if (startedAt === null) return 'does not run'
  const how = signal ? ` by ${signal}` : exitCode === undefined ? '' : ` with exit code ${exitCode}`
  return `ended ${endedAt ?? 'unseen'}${how}`
}
