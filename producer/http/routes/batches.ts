import { Readable } from 'node:stream'
import { stringify } from 'csv-stringify/sync'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Batch, DestroyBatch, DryRunOfDestroy } from '#shared/batch.ts'
import { type Changed, cancelBatch, pauseBatch, resumeBatch, retryBatch } from '../../batches/change-batch.ts'
import { destroyBatch, tryDestroyBatch } from '../../batches/destroy-batch.ts'
import { findCauses } from '../../batches/faults/find-causes.ts'
import { ReportedRow, reportColumns, reportRows } from '../../batches/rows/report-rows.ts'
import { batchList } from '../../records/batches/batch-lists.ts'
import { type BatchRecord, findBatchCalled, readBatch, toBatch } from '../../records/batches/batch-record.ts'
import { newestOf } from '../../records/lists.ts'
import { idempotencyOf } from '../../records/operations/idempotency.ts'
import type { Store } from '../../records/store.ts'
import { requestHeaders } from '../answers/answer-operation.ts'
import { contentOf } from '../answers/content.ts'
import { collectPage, ListQuery, pageSchema } from '../answers/page.ts'
import type { AppDeps } from '../app-deps.ts'
import { problems } from '../http-errors.ts'
import { examples } from '../openapi/examples.ts'
import { DryRunQuery } from '../requests/dry-run-query.ts'

const Params = z.object({ id: z.string().max(64).describe('Its id, or its name if no other batch has that.') })
const Report = z.object({ items: z.array(ReportedRow) })
const answers = { 202: z.object({ batch: Batch }), ...problems }
const changes = {
  ...answers,
  202: z.object({ batch: Batch, changed: z.boolean().describe('False: there was nothing to do, and nothing was done.') }),
}
const Cancel = z.strictObject({ running: z.enum(['finish', 'cancel']).optional() }).nullish()
const Retry = z.strictObject({ cause: z.string().max(64).optional() }).nullish()

/** Returns a batch as HTTP shows it, with the causes of its failures. */
export async function showBatch(store: Store, batch: BatchRecord): Promise<Batch> {
  return toBatch(batch, batch.failed > 0 ? await findCauses(store, batch.id) : [])
}

/** Routes that show accepted batches and their rows. */
export const batchRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/batches',
      {
        schema: {
          summary: 'List batches, the newest first',
          querystring: ListQuery,
          response: { 200: pageSchema(Batch), ...problems },
        },
      },
      ({ query }) =>
        collectPage(
          query,
          (after, count) => newestOf(deps.redis, batchList('all', deps.keys), { after, count }),
          async (ids) => {
            const batches = (await Promise.all(ids.map((id) => readBatch(deps, id)))).filter((batch) => batch !== undefined)
            return Promise.all(batches.map(async (batch) => ({ name: batch.id, record: await showBatch(deps, batch) })))
          },
        ),
    )

    app.get(
      '/v1/batches/:id',
      { schema: { summary: 'Show a batch', params: Params, response: { 200: Batch, ...problems } } },
      async ({ params }) => showBatch(deps, await findBatchCalled(deps, params.id)),
    )

    app.get(
      '/v1/batches/:id/report.csv',
      {
        schema: {
          summary: 'What became of each row, as CSV; also while it runs',
          params: Params,
          response: { 200: contentOf('The rows in their order.', { 'text/csv': examples.report }) },
        },
      },
      async ({ params }, reply) => {
        const batch = await findBatchCalled(deps, params.id)
        reply.header('content-disposition', `attachment; filename="${batch.name}.csv"`)
        reply.type('text/csv; charset=utf-8')
        return Readable.from(csvOf(deps, batch))
      },
    )

    app.get(
      '/v1/batches/:id/report.json',
      {
        schema: {
          summary: 'What became of each row, as JSON; also while it runs',
          params: Params,
          response: { 200: contentOf('The rows in their order.', { 'application/json': Report }) },
        },
      },
      async ({ params }, reply) => {
        const batch = await findBatchCalled(deps, params.id)
        reply.type('application/json; charset=utf-8')
        return Readable.from(jsonOf(deps, batch))
      },
    )
  }

/** Routes that change batches. */
export const batchChangeRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    const change = async (called: string, ask: (id: string) => Promise<Changed>) => {
      const { id } = await findBatchCalled(deps, called)
      const { batch, changed } = await ask(id)
      return { batch: await showBatch(deps, batch), changed }
    }

    app.post(
      '/v1/batches/:id/pause',
      { schema: { summary: 'Release no further rows; what runs goes on', params: Params, response: changes } },
      async ({ params }, reply) => reply.code(202).send(await change(params.id, (id) => pauseBatch(deps, id))),
    )

    app.post(
      '/v1/batches/:id/resume',
      { schema: { summary: 'Go on releasing rows', params: Params, response: changes } },
      async ({ params }, reply) => reply.code(202).send(await change(params.id, (id) => resumeBatch(deps, id))),
    )

    app.post(
      '/v1/batches/:id/cancel',
      {
        schema: {
          summary: 'Release no further rows; what runs is finished, or cancelled as well',
          params: Params,
          body: Cancel,
          response: changes,
        },
      },
      async ({ params, body }, reply) =>
        reply.code(202).send(await change(params.id, (id) => cancelBatch(deps, id, body?.running ?? 'finish'))),
    )

    app.post(
      '/v1/batches/:id/retry',
      {
        schema: {
          summary: 'Try again what failed: all of it, or that of one cause',
          params: Params,
          body: Retry,
          response: changes,
        },
      },
      async ({ params, body }, reply) => reply.code(202).send(await change(params.id, (id) => retryBatch(deps, id, body?.cause))),
    )

    app.post(
      '/v1/batches/:id/destroy',
      {
        schema: {
          summary: 'Destroy all jails that an ended batch has made, by a batch of its own',
          params: Params,
          querystring: DryRunQuery,
          headers: requestHeaders.pick({ 'idempotency-key': true }),
          body: DestroyBatch.nullish(),
          response: { 200: DryRunOfDestroy, ...answers },
        },
      },
      async (request, reply) => {
        const { params, query, body, method, url, headers } = request
        const { id } = await findBatchCalled(deps, params.id)
        if (query.dryRun === 'true') return reply.code(200).send(await tryDestroyBatch(deps, id))
        const asked = { method, url, body, header: headers['idempotency-key'] }
        const options = body ?? DestroyBatch.parse({})
        const answer = await destroyBatch(deps, id, options, idempotencyOf(asked, request.caller.scope, deps.keys))
        if (answer.replayed) reply.header('idempotency-replayed', 'true')
        reply.code(202).header('location', `/v1/batches/${answer.batch.id}`)
        return { batch: toBatch(answer.batch) }
      },
    )
  }

async function* csvOf(deps: AppDeps, batch: BatchRecord): AsyncGenerator<string> {
  yield stringify([reportColumns])
  for await (const rows of reportRows(deps, batch))
    yield stringify(rows, { columns: reportColumns, cast: { string: escapeFormula } })
  // A report that lacks rows must break off.
  await deps.recovery.assertNotLost()
}

/** Spreadsheets evaluate a cell that begins like a formula, some also after white space: such a cell is prefixed with `'`. */
function escapeFormula(cell: string): string {
  return /^(\s*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]|[\t\r\n])/.test(cell) ? `'${cell}` : cell
}

async function* jsonOf(deps: AppDeps, batch: BatchRecord): AsyncGenerator<string> {
  let before = '{"items":['
  for await (const rows of reportRows(deps, batch)) {
    for (const row of rows) {
      yield `${before}${JSON.stringify(row)}`
      before = ',\n'
    }
  }
  await deps.recovery.assertNotLost()
  yield `${before.startsWith('{') ? before : ''}]}\n`
}
