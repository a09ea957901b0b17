import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { hasEnded, Operation, OperationStatus } from '#shared/operation.ts'
import { findOperation } from '../../operations/accept.ts'
import { cancelOperation, retryOperation } from '../../operations/operate.ts'
import { idOfBatch } from '../../records/batches/batch-record.ts'
import { newestOf } from '../../records/lists.ts'
import { type OperationList, operationList } from '../../records/operations/operation-lists.ts'
import { toOperation } from '../../records/operations/operation-record.ts'
import { Accepted, AcceptedOperation, answerOperation, requestHeaders } from '../answers/answer-operation.ts'
import { contentOf } from '../answers/content.ts'
import { collectPage, PageQuery, pageSchema } from '../answers/page.ts'
import type { AppDeps } from '../app-deps.ts'
import { problems } from '../http-errors.ts'
import { examples } from '../openapi/examples.ts'

const Query = z.strictObject({
  jail: z.string().max(64).optional(),
  batch: z.string().max(64).optional(),
  status: OperationStatus.optional(),
  ...PageQuery,
})
const Params = z.object({ id: z.string().max(64) })

/** Routes that show operations and their logs. */
export const operationRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    const { redis, keys, records, explain } = deps

    app.get(
      '/v1/operations',
      {
        schema: {
          summary: 'List operations, the newest first',
          querystring: Query,
          response: { 200: pageSchema(Operation), ...problems },
        },
      },
      async ({ query: { batch: called, ...asked } }) => {
        // An operation may have outlived the record of its batch.
        const query = { ...asked, batch: called === undefined ? undefined : ((await idOfBatch(deps, called)) ?? called) }
        const list = operationList(listOf(query), keys)
        return collectPage(
          query,
          (after, count) => newestOf(redis, list, { after, count }),
          async (ids) => {
            const { status, batch } = query
            const wanted = (await records.operations(ids)).filter(
              (operation) =>
                (status === undefined || operation.status === status) && (batch === undefined || operation.batch === batch),
            )
            return (await explain(wanted)).map((record) => ({ name: record.id, record }))
          },
        )
      },
    )

    app.get(
      '/v1/operations/:id',
      { schema: { summary: 'Show an operation', params: Params, response: { 200: Operation, ...problems } } },
      async ({ params }) => {
        const operation = await findOperation(deps, params.id)
        const [explained] = await explain([operation])
        return explained ?? toOperation(operation)
      },
    )

    app.get(
      '/v1/operations/:id/log',
      {
        schema: {
          summary: 'What its steps ran, and what that printed',
          params: Params,
          response: { 200: contentOf('The log so far.', { 'text/plain': examples.log }) },
        },
      },
      async ({ params }, reply) => {
        const { id, host } = await findOperation(deps, params.id)
        const chunks = await redis.lrange(keys.log(host, id), 0, -1)
        reply.type('text/plain; charset=utf-8')
        return chunks.join('')
      },
    )
  }

/** Routes that retry and cancel operations. */
export const operationChangeRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/v1/operations/:id/retry',
      {
        schema: {
          summary: 'Try an operation again that failed or was cancelled',
          params: Params,
          headers: requestHeaders,
          response: { 200: Accepted, 202: Accepted, ...problems },
        },
      },
      (request, reply) =>
        answerOperation(deps, request, reply, (idempotency) => retryOperation(deps, request.params.id, idempotency)),
    )

    app.post(
      '/v1/operations/:id/cancel',
      {
        schema: {
          summary: 'Cancel an operation; what it did is undone',
          params: Params,
          headers: requestHeaders,
          response: { 200: AcceptedOperation, 202: AcceptedOperation, ...problems },
        },
      },
      async (request, reply) => {
        const { id, status } = await findOperation(deps, request.params.id)
        const { operation } = await answerOperation(deps, request, reply, (idempotency) => cancelOperation(deps, id, idempotency))
        if (hasEnded(status)) reply.code(200)
        return { operation }
      },
    )
  }

function listOf({ jail, batch, status }: z.infer<typeof Query>): OperationList {
  if (jail !== undefined) return { jail }
  if (batch !== undefined) return { batch }
  return status ? { status } : 'all'
}
