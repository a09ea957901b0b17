import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { Jail } from '#shared/jail.ts'
import { hasEnded, Operation } from '#shared/operation.ts'
import type { Answer } from '../../operations/decision.ts'
import { toJail } from '../../records/jails/jail-record.ts'
import { type Idempotency, idempotencyOf } from '../../records/operations/idempotency.ts'
import { toOperation } from '../../records/operations/operation-record.ts'
import type { AppDeps } from '../app-deps.ts'
import { waitForEnd, waitSeconds } from './wait-for-end.ts'

/** The answer to every request for an operation. The jail is null once it has no record. */
export const Accepted = z.object({ jail: Jail.nullable(), operation: Operation })
export const AcceptedOperation = z.object({ operation: Operation })

export const requestHeaders = z.object({
  'idempotency-key': z.string().optional().describe('The same key with the same request is done once.'),
  prefer: z.string().optional().describe('wait=SECONDS (at most 60) holds the answer until the operation has ended.'),
})

/**
 * Makes an operation and prepares its answer: 202, or 200 if the caller preferred to wait and it has ended.
 * @throws ProvostError `invalid_request` for a wrong Idempotency-Key, before anything is done; what `make` throws.
 */
export async function answerOperation(
  deps: AppDeps,
  request: FastifyRequest,
  reply: Pick<FastifyReply, 'code' | 'header'>,
  make: (idempotency: Idempotency | undefined) => Promise<Answer>,
): Promise<z.infer<typeof Accepted>> {
  const wait = waitSeconds(request.headers.prefer)
  const { method, url, body } = request
  const header = request.headers['idempotency-key']
  const answer = await make(idempotencyOf({ method, url, body, header }, request.caller.scope, deps.keys))
  if (answer.replayed) reply.header('idempotency-replayed', 'true')
  const { operation, jail } = wait === undefined ? answer : await awaitEnd(deps, answer, wait)
  if (wait !== undefined) reply.header('preference-applied', `wait=${wait}`)
  reply.code(wait !== undefined && hasEnded(operation.status) ? 200 : 202)
  reply.header('location', `/v1/operations/${operation.id}`)
  // A new operation has not waited for anything yet.
  const [explained] = answer.replayed ? await deps.explain([operation]) : []
  return { jail: jail && toJail(jail), operation: explained ?? toOperation(operation) }
}

async function awaitEnd({ feed, records }: AppDeps, answer: Answer, seconds: number): Promise<Omit<Answer, 'replayed'>> {
  if (hasEnded(answer.operation.status)) return answer
  const operation = await waitForEnd(answer.operation, seconds, feed, records)
  return { operation, jail: await records.jailOf(operation) }
}
