import { Command } from 'commander'
import { Operation } from '#shared/operation.ts'
import { type CommandContext, Unsuccessful } from '../arguments/command-context.ts'
import { awaitOperation } from '../http/follow-operation.ts'
import { failureLines } from '../print/operation-lines.ts'
import { findOperation, operationArgument } from './find-operation.ts'
import { watchOperation } from './request-operation.ts'

export function watchCommand({ client, print }: CommandContext): Command {
  return new Command('watch')
    .description('show the progress of an operation until it has ended')
    .argument(...operationArgument)
    .option('--json', 'print it as JSON when it has ended')
    .action(async (called: string, { json }: { json?: true }) => {
      const id = await findOperation(client(), called)
      const ended = json ? await awaitQuietly(id) : await watchOperation(client(), id)
      if (ended.status !== 'succeeded') throw new Unsuccessful(failureLines(ended))
    })

  async function awaitQuietly(id: string): Promise<Operation> {
    const answer = await awaitOperation(client(), id)
    print(answer.text)
    return Operation.parse(answer.body)
  }
}
