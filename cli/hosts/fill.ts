import { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { requestOperation, type WaitOptions } from '../operations/request-operation.ts'

export function fillCommand(context: CommandContext): Command {
  return new Command('fill')
    .description('make a world ready on a host before a jail asks for it')
    .argument('<host>', 'its id')
    .argument('<world>', 'a world that the host offers; see `provost worlds`')
    .option('--wait', 'show the progress and end when the world is ready')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (host: string, world: string, options: WaitOptions) => {
      const path = `/v1/hosts/${encodeURIComponent(host)}/worlds/${encodeURIComponent(world)}/fill`
      await requestOperation(context, { method: 'POST', path }, options)
    })
}
