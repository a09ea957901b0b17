import { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import type { Request } from '../http/client.ts'
import { requestOperation, type WaitOptions } from '../operations/request-operation.ts'

/** Returns a command that asks for one operation on one jail. */
export function actOnJail(
  context: CommandContext,
  verb: string,
  description: string,
  request = (jail: string): Request => ({ method: 'POST', path: `${jail}/${verb}` }),
): Command {
  return new Command(verb)
    .description(description)
    .argument('<name>', 'the jail')
    .option('--wait', 'show the progress and end when the operation has ended')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (name: string, options: WaitOptions) => {
      await requestOperation(context, request(`/v1/jails/${encodeURIComponent(name)}`), options)
    })
}
