import { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { requestOperation, type WaitOptions } from './request-operation.ts'

export function cancelCommand(context: CommandContext): Command {
  return new Command('cancel')
    .description('end an operation and undo what it has done')
    .argument('<operation>', 'its id')
    .option('--wait', 'show the progress; done only when the operation ended cancelled')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (id: string, options: WaitOptions) => {
      const request = { method: 'POST', path: `/v1/operations/${encodeURIComponent(id)}/cancel` } as const
      await requestOperation(context, request, options, 'cancelled')
    })
}
