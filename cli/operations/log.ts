import { Command } from 'commander'
import type { CommandContext } from '../arguments/command-context.ts'
import { findOperation, operationArgument } from './find-operation.ts'

export function logCommand({ client, print }: CommandContext): Command {
  return new Command('log')
    .description('the commands that an operation ran on its host, and what they printed')
    .argument(...operationArgument)
    .option('--json', 'print a refusal as JSON; the log itself is text')
    .action(async (called: string) => {
      const id = await findOperation(client(), called)
      const { text } = await client().get(`/v1/operations/${encodeURIComponent(id)}/log`)
      if (text) print(text.trimEnd())
    })
}
