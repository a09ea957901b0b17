import type { Operation, OperationStatus } from '#shared/operation.ts'
import { type CommandContext, Unsuccessful } from '../arguments/command-context.ts'
import { type Client, type Request, WithOperation } from '../http/client.ts'
import { followOperation } from '../http/follow-operation.ts'
import { printOnInterrupt } from '../print/live/print-on-interrupt.ts'
import { showProgress } from '../print/live/show-progress.ts'
import { acceptedLine, failureLines } from '../print/operation-lines.ts'

export type WaitOptions = { wait?: true; json?: true }

/**
 * Asks for an operation and, with `wait`, shows it until it has ended. Returns it when the caller may print more about it: it
 * was shown and ended as `wanted`. `more`: what to print of one that is not waited for. @throws Refusal, Unreachable, Unsuccessful
 */
export async function requestOperation(
  { client, print }: CommandContext,
  request: Request,
  { wait, json }: WaitOptions,
  wanted: OperationStatus = 'succeeded',
  more: (asked: Operation) => string[] = () => [],
): Promise<Operation | undefined> {
  if (json) {
    const answer = await (wait ? client().sendAndWait(request) : client().send(request))
    print(answer.text)
    const { operation } = WithOperation.parse(answer.body)
    if (wait && operation.status !== wanted) throw new Unsuccessful(failureLines(operation))
    return undefined
  }
  const asked = WithOperation.parse((await client().send(request)).body).operation
  if (!wait) {
    print(acceptedLine(asked), ...more(asked))
    return undefined
  }
  const ended = await watchOperation(client(), asked.id)
  if (ended.status !== wanted) throw new Unsuccessful(failureLines(ended))
  return ended
}

/** Shows an operation until it has ended. @throws Refusal, Unreachable */
export async function watchOperation(client: Client, id: string): Promise<Operation> {
  return await printOnInterrupt(`The operation goes on. To see it again: provost watch ${id}`, () =>
    showProgress(followOperation(client, id)),
  )
}
