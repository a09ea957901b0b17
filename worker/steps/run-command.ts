import type { Step } from '../step.ts'

/** The command ends with the jail, so undoing the start is enough. */
export const runCommand = {
  name: 'run-command',
  title: "Running the jail's command",
  timeoutMs: 10 * 60_000,
  weight: 10,
  run: ({ host, jail, signal }) => host.startCommand(jail, signal),
} as const satisfies Step
