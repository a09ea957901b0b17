import type { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { actOnJail } from './act-on-jail.ts'

export function restartCommand(context: CommandContext): Command {
  return actOnJail(context, {
    verb: 'restart',
    description: 'stop and start a jail',
    method: 'POST',
    path: (jail) => `${jail}/restart`,
  })
}
