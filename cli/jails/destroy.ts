import type { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { actOnJail } from './act-on-jail.ts'

export function destroyCommand(context: CommandContext): Command {
  return actOnJail(context, {
    verb: 'destroy',
    description: 'remove a jail and all that it holds; a provision under way is cancelled first',
    method: 'DELETE',
    path: (jail) => jail,
  })
}
