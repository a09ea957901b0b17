import { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { findOperation, operationArgument } from './find-operation.ts'
import { requestOperation, type WaitOptions } from './request-operation.ts'

export function retryCommand(context: CommandContext): Command {
  return new Command('retry')
    .description('try a failed or cancelled operation again')
    .argument(...operationArgument)
    .option('--wait', 'show the progress and end when the operation has ended')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (called: string, options: WaitOptions) => {
      const id = await findOperation(context.client(), called)
      await requestOperation(context, { method: 'POST', path: `/v1/operations/${encodeURIComponent(id)}/retry` }, options)
    })
}
