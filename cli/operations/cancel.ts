import { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { cancelLines } from '../print/operation-lines.ts'
import { findOperation, operationArgument } from './find-operation.ts'
import { requestOperation, type WaitOptions } from './request-operation.ts'

export function cancelCommand(context: CommandContext): Command {
  return new Command('cancel')
    .description('end an operation and undo what it has done; says what becomes of the jail')
    .argument(...operationArgument)
    .option('--wait', 'show the progress; done only when the operation ended cancelled')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (called: string, options: WaitOptions) => {
      const id = await findOperation(context.client(), called)
      const request = { method: 'POST', path: `/v1/operations/${encodeURIComponent(id)}/cancel` } as const
      const ended = await requestOperation(context, request, options, 'cancelled', cancelLines)
      if (ended) context.print(...cancelLines(ended))
    })
}
