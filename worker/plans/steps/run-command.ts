import type { Step } from './step.ts'

/** A command must not run twice: what was begun of it is ended first. */
export const runCommand = {
  name: 'run-command',
  title: "Running the jail's command",
  timeoutMs: 10 * 60_000,
  weight: 10,
  repeatable: false,
  async run({ host, jail, signal, learn }) {
    await host.startCommand(jail, signal)
    const commandState = await host.commandStateOf(jail)
    if (commandState) learn({ commandState })
  },
  undo: ({ host, jail, signal }) => host.endCommand(jail, signal),
} as const satisfies Step
