import type { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { actOnJail } from './act-on-jail.ts'

export function startCommand(context: CommandContext): Command {
  return actOnJail(context, 'start', 'start a stopped jail')
}
