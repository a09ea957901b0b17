import type { Command } from 'commander'
import { actOnJail } from './act-on-jail.ts'
import type { CommandContext } from './command-context.ts'

export function stopCommand(context: CommandContext): Command {
  return actOnJail(context, {
    verb: 'stop',
    description: 'stop a running jail; its root and addresses stay',
    method: 'POST',
    path: (jail) => `${jail}/stop`,
  })
}
