import type { Command } from 'commander'
import { actOnJail } from './act-on-jail.ts'
import type { CommandContext } from './command-context.ts'

export function startCommand(context: CommandContext): Command {
  return actOnJail(context, {
    verb: 'start',
    description: 'start a stopped jail',
    method: 'POST',
    path: (jail) => `${jail}/start`,
  })
}
