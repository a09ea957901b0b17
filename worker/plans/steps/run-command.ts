import type { Step } from './step.ts'

/** A command must not run twice: what was begun of it is ended first. */
export const runCommand = {
  name: 'run-command',
  title: "Running the jail's command",
  timeoutMs: 10 * 60_000,
  weight: 10,
  repeatable: false,
  run: ({ host, jail, signal }) => host.startCommand(jail, signal),
  undo: ({ host, jail, signal }) => host.endCommand(jail, signal),
} as const satisfies Step
