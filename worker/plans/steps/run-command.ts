import { ProvostError } from '#shared/errors.ts'
import type { Step } from './step.ts'

/** A command must not run twice: what was begun of it is ended first. */
export const runCommand = {
  name: 'run-command',
  title: "Running the jail's command",
  timeoutMs: 10 * 60_000,
  weight: 10,
  repeatable: false,
  async run({ host, jail, signal, learn }) {
    try {
      await host.startCommand(jail, signal)
    } catch (error) {
      throw jail.command ? withHint(error) : error
    }
    const commandState = await host.commandStateOf(jail)
    if (commandState) learn({ commandState })
  },
  undo: ({ host, jail, signal }) => host.endCommand(jail, signal),
} as const satisfies Step

/** A command that a request asked for stays as it is in each retry. */
function withHint(error: unknown): unknown {
  if (!(error instanceof ProvostError) || error.code !== 'command_failed') return error
  const hint = 'A retry starts the same command: if that is wrong, destroy the jail and create it with another one.'
  return new ProvostError(error.code, error.message, { ...error.facts, hint })
}
