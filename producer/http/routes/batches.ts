import { Readable } from 'node:stream'
import { stringify } from 'csv-stringify/sync'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Batch } from '#shared/batch.ts'
import { type BatchRecord, readBatch, toBatch } from '../../batches/batch-record.ts'
import { findCauses } from '../../batches/find-causes.ts'
import { reportColumns, reportRows } from '../../batches/report-rows.ts'
import type { AppDeps } from '../app.ts'
import { problems } from '../http-errors.ts'
import { collectPage, PageQuery, pageOf } from '../page.ts'

const Query = z.strictObject(PageQuery)
const Params = z.object({ id: z.string().max(64) })
const One = z.object({ batch: Batch })
const Cancel = z.strictObject({ running: z.enum(['finish', 'cancel']).optional() }).nullish()
const Retry = z.strictObject({ cause: z.string().max(64).optional() }).nullish()

/** Batches that were accepted: how they stand, and what a person may ask of them. */
export const batchRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    const { redis, keys, changeBatch } = deps

    const shown = async (batch: BatchRecord) => toBatch(batch, batch.failed > 0 ? await findCauses(batch.id, deps) : [])

    app.get(
      '/v1/batches',
      {
        schema: { summary: 'List batches, the newest first', querystring: Query, response: { 200: pageOf(Batch), ...problems } },
      },
      ({ query }) =>
        collectPage(
          query,
          (after, count) => redis.zrevrangebylex(keys.batches(), after === undefined ? '+' : `(${after}`, '-', 'LIMIT', 0, count),
          async (ids) => {
            const found = await Promise.all(ids.map((id) => readBatch(redis, keys, id)))
            return Promise.all(
              found.flatMap((batch) => (batch ? [shown(batch).then((record) => ({ name: batch.id, record }))] : [])),
            )
          },
        ),
    )

    app.get(
      '/v1/batches/:id',
      { schema: { summary: 'Show a batch', params: Params, response: { 200: Batch, ...problems } } },
      async ({ params }) => shown(await changeBatch.batchOf(params.id)),
    )

    app.get(
      '/v1/batches/:id/report.csv',
      { schema: { summary: 'What became of each row, as CSV; also while it runs', params: Params } },
      async ({ params }, reply) => {
        const batch = await changeBatch.batchOf(params.id)
        reply.header('content-disposition', `attachment; filename="${batch.name}.csv"`)
        return reply.type('text/csv; charset=utf-8').send(Readable.from(csvOf(batch, deps)))
      },
    )

    app.get(
      '/v1/batches/:id/report.json',
      { schema: { summary: 'What became of each row, as JSON; also while it runs', params: Params } },
      async ({ params }, reply) => {
        const batch = await changeBatch.batchOf(params.id)
        return reply.type('application/json; charset=utf-8').send(Readable.from(jsonOf(batch, deps)))
      },
    )

    for (const verb of ['pause', 'resume'] as const)
      app.post(
        `/v1/batches/:id/${verb}`,
        {
          schema: {
            summary: verb === 'pause' ? 'Release no further rows; what runs goes on' : 'Go on releasing rows',
            params: Params,
            response: { 202: One, ...problems },
          },
        },
        async ({ params }, reply) => reply.code(202).send({ batch: await shown(await changeBatch[verb](params.id)) }),
      )

    app.post(
      '/v1/batches/:id/cancel',
      {
        schema: {
          summary: 'Release no further rows; what runs is finished, or cancelled as well',
          params: Params,
          body: Cancel,
          response: { 202: One, ...problems },
        },
      },
      async ({ params, body }, reply) =>
        reply.code(202).send({ batch: await shown(await changeBatch.cancel(params.id, body?.running ?? 'finish')) }),
    )

    app.post(
      '/v1/batches/:id/retry',
      {
        schema: {
          summary: 'Try again what failed: all of it, or that of one cause',
          params: Params,
          body: Retry,
          response: { 202: One, ...problems },
        },
      },
      async ({ params, body }, reply) =>
        reply.code(202).send({ batch: await shown(await changeBatch.retry(params.id, body?.cause)) }),
    )
  }

async function* csvOf(batch: BatchRecord, deps: AppDeps): AsyncGenerator<string> {
  yield stringify([reportColumns])
  for await (const rows of reportRows(batch, deps)) yield stringify(rows, { columns: reportColumns, cast: { string: harmless } })
}

/** A spreadsheet would run a cell that begins like a formula, some also behind white space: then it begins with `'`. */
function harmless(cell: string): string {
  return /^(\s*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]|[\t\r\n])/.test(cell) ? `'${cell}` : cell
}

async function* jsonOf(batch: BatchRecord, deps: AppDeps): AsyncGenerator<string> {
  let before = '{"items":['
  for await (const rows of reportRows(batch, deps)) {
    for (const row of rows) {
      yield `${before}${JSON.stringify(row)}`
      before = ',\n'
    }
  }
  yield `${before.startsWith('{') ? before : ''}]}\n`
}
