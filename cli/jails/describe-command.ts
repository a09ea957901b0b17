import type { CommandState } from '#shared/jail.ts'

/** Says since when a jail's own command runs, or how it ended. */
export function describeCommand({ state, exitCode, startedAt, endedAt }: CommandState): string {
  if (state === 'running') return `runs since ${startedAt}`
  return `ended ${endedAt ?? 'unseen'}${exitCode === null ? '' : ` with exit code ${exitCode}`}`
}
