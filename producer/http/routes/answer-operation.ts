import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { Jail } from '#shared/jail.ts'
import { hasEnded, Operation } from '#shared/operation.ts'
import type { Answer } from '../../operations/accept.ts'
import { idempotencyOf } from '../../records/idempotency.ts'
import { toJail, toOperation } from '../../records/records.ts'
import type { Idempotency } from '../../records/scripts.ts'
import type { AppDeps } from '../app.ts'
import { waitForEnd, waitSeconds } from '../wait-for-end.ts'

/** The answer to every request that makes an operation. The jail is null once it is gone. */
export const Accepted = z.object({ jail: Jail.nullable(), operation: Operation })
export const AcceptedOperation = z.object({ operation: Operation })

export const requestHeaders = z.object({
  'idempotency-key': z.string().optional().describe('The same key with the same request is done once.'),
  prefer: z.string().optional().describe('wait=SECONDS (1 to 60) holds the answer until the operation has ended.'),
})

type Deps = Pick<AppDeps, 'keys' | 'feed' | 'records' | 'explain'>

/**
 * Makes an operation and prepares its answer: 202, or 200 when the caller preferred to wait and it has ended. What is
 * wrong with the headers is said before anything is done.
 */
export async function answerOperation(
  request: FastifyRequest,
  reply: Pick<FastifyReply, 'code' | 'header'>,
  { keys, feed, records, explain }: Deps,
  make: (idempotency: Idempotency | undefined) => Promise<Answer>,
): Promise<z.infer<typeof Accepted>> {
  const wait = waitSeconds(request.headers.prefer)
  const { method, url, body } = request
  const idempotency = idempotencyOf({ method, url, body, header: request.headers['idempotency-key'] }, request.caller.scope, keys)
  const answer = await make(idempotency)
  if (answer.replayed) reply.header('idempotency-replayed', 'true')
  if (wait !== undefined) {
    reply.header('preference-applied', `wait=${wait}`)
    if (!hasEnded(answer.operation.status)) {
      answer.operation = await waitForEnd(answer.operation, wait, feed, records)
      answer.jail = await records.jailOf(answer.operation)
    }
  }
  reply.code(wait !== undefined && hasEnded(answer.operation.status) ? 200 : 202)
  reply.header('location', `/v1/operations/${answer.operation.id}`)
  // What was accepted just now has not waited yet.
  const [operation] = answer.replayed ? await explain([answer.operation]) : [toOperation(answer.operation)]
  return { jail: answer.jail && toJail(answer.jail), operation: operation ?? toOperation(answer.operation) }
}
