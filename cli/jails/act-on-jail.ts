import { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import type { Request } from '../http/client.ts'
import { requestOperation, type WaitOptions } from '../operations/request-operation.ts'

type Action = { verb: string; description: string; method: Request['method']; path(jail: string): string }

/** A command that asks for one operation on one jail. */
export function actOnJail(context: CommandContext, { verb, description, method, path }: Action): Command {
  return new Command(verb)
    .description(description)
    .argument('<name>', 'the jail')
    .option('--wait', 'show the progress and end when the operation has ended')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (name: string, options: WaitOptions) => {
      await requestOperation(context, { method, path: path(`/v1/jails/${encodeURIComponent(name)}`) }, options)
    })
}
