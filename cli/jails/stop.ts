import type { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { actOnJail } from './act-on-jail.ts'

export function stopCommand(context: CommandContext): Command {
  return actOnJail(context, 'stop', 'stop a running jail; its root and addresses stay')
}
