import type { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { actOnJail } from './act-on-jail.ts'

export function destroyCommand(context: CommandContext): Command {
  const description = 'remove a jail and all that it holds; a provision under way is cancelled first'
  return actOnJail(context, 'destroy', description, (jail) => ({ method: 'DELETE', path: jail }))
}
