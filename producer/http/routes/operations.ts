import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ProvostError } from '#shared/errors.ts'
import { hasEnded, Operation, OperationStatus } from '#shared/operation.ts'
import { type OperationRecord, toOperation } from '../../records/records.ts'
import type { AppDeps } from '../app.ts'
import { problems } from '../http-errors.ts'
import { collectPage, PageQuery, pageOf } from '../page.ts'
import { Accepted, AcceptedOperation, answerOperation, requestHeaders } from './answer-operation.ts'

const Query = z.strictObject({
  jail: z.string().max(64).optional(),
  batch: z.string().max(64).optional(),
  status: OperationStatus.optional(),
  ...PageQuery,
})
const Params = z.object({ id: z.string().max(64) })

export const operationRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    const { redis, keys, records, operate, explain } = deps

    async function find(id: string): Promise<OperationRecord> {
      const operation = await records.operation(id)
      if (!operation) throw new ProvostError('not_found', `There is no operation ${id}.`)
      return operation
    }

    async function explainOne(operation: OperationRecord): Promise<Operation> {
      const [explained] = await explain([operation])
      return explained ?? toOperation(operation)
    }

    app.get(
      '/v1/operations',
      {
        schema: {
          summary: 'List operations, the newest first',
          querystring: Query,
          response: { 200: pageOf(Operation), ...problems },
        },
      },
      ({ query }) => {
        const { jail, batch, status } = query
        const index =
          jail !== undefined
            ? keys.operations('jail', jail)
            : batch !== undefined
              ? keys.operations('batch', batch)
              : status
                ? keys.operations('status', status)
                : keys.operations()
        return collectPage(
          query,
          (after, count) => redis.zrevrangebylex(index, after === undefined ? '+' : `(${after}`, '-', 'LIMIT', 0, count),
          async (ids) => {
            const found = await records.operations(ids)
            const wanted = found.filter(
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
      async ({ params }) => explainOne(await find(params.id)),
    )

    app.get(
      '/v1/operations/:id/log',
      { schema: { summary: 'What its steps ran, and what that printed', params: Params } },
      async ({ params }, reply) => {
        const { id, host } = await find(params.id)
        const chunks = await redis.lrange(keys.log(host, id), 0, -1)
        return reply.type('text/plain; charset=utf-8').send(chunks.join(''))
      },
    )

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
      (request, reply) => answerOperation(request, reply, deps, (idempotency) => operate.retry(request.params.id, idempotency)),
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
        const { status } = await find(request.params.id)
        const { operation } = await answerOperation(request, reply, deps, (idempotency) =>
          operate.cancel(request.params.id, idempotency),
        )
        if (hasEnded(status)) reply.code(200)
        return { operation }
      },
    )
  }
