import type { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { actOnJail } from './act-on-jail.ts'

export function restartCommand(context: CommandContext): Command {
  return actOnJail(context, 'restart', 'stop and start a jail')
}
