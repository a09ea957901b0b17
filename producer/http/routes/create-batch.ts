import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import {
  Batch,
  BatchOptions,
  CreateBatch,
  DryRunOfBatch,
  type FaultCause,
  FaultCauses,
  type RowFault,
  SkippedRows,
} from '#shared/batch.ts'
import { batchColumns } from '../../batches/files/csv-header.ts'
import { acceptBatch, tryBatch } from '../../batches/intake/accept-batch.ts'
import { spoolRejects } from '../../batches/intake/spool-rejects.ts'
import { toBatch } from '../../records/batches/batch-record.ts'
import { idempotencyOf } from '../../records/operations/idempotency.ts'
import { requestHeaders } from '../answers/answer-operation.ts'
import { contentOf, noContent } from '../answers/content.ts'
import type { AppDeps } from '../app-deps.ts'
import { problems } from '../http-errors.ts'
import { examples } from '../openapi/examples.ts'
import { acceptFiles, batchValidator, withBatch } from '../requests/read-batch.ts'

const yesOrNo = z.enum(['true', 'false']).default('false')
const Query = BatchOptions.extend({
  dryRun: yesOrNo.describe('Answers where each row would go, or why nowhere; nothing is done.'),
  skipInvalid: yesOrNo.describe('Leaves out the rows that are not right, rather than to refuse all.'),
})

const AcceptedBatch = z.object({ batch: Batch, skipped: SkippedRows, causes: FaultCauses.optional() })

const description =
  'JSON, or a file: `application/x-ndjson` with one jail a line, or `text/csv` with a header of the columns ' +
  `${batchColumns.join(', ')}, of which the first three are required. For a file the options are query parameters. ` +
  'CSV is in UTF-8, UTF-16 or what `charset` of the Content-Type says, its cells apart by comma, semicolon, tab or bar.'

export const createBatchRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    acceptFiles(app)

    app.post(
      '/v1/batches',
      {
        schema: {
          summary: 'Ask for many jails at once: all rows are accepted, or none',
          description,
          headers: requestHeaders.pick({ 'idempotency-key': true }),
          querystring: Query,
          body: CreateBatch,
          response: { 200: DryRunOfBatch, 202: AcceptedBatch, ...problems },
        },
        validatorCompiler: batchValidator as never,
      },
      (request, reply) => {
        const { dryRun, skipInvalid, ...options } = request.query
        return withBatch(request, options, async ({ content, ...read }) => {
          const asked = { ...read, skipInvalid: skipInvalid === 'true' }
          const shown = ({ skipped, causes }: { skipped: RowFault[]; causes: FaultCause[] }) =>
            asked.skipInvalid ? { skipped, causes } : {}
          if (dryRun === 'true') {
            const { skipped, causes, ...tried } = await tryBatch(deps, asked)
            return reply.code(200).send({ ...tried, ...shown({ skipped, causes }) })
          }
          const answer = await acceptBatch(deps, asked, () => {
            const { method, url, headers } = request
            const what = { form: read.form, options: read.options, skipInvalid, content: content() }
            return idempotencyOf({ method, url, body: what, header: headers['idempotency-key'] }, request.caller.scope, deps.keys)
          })
          if (answer.replayed) reply.header('idempotency-replayed', 'true')
          reply.code(202).header('location', `/v1/batches/${answer.batch.id}`)
          return { batch: toBatch(answer.batch), ...(answer.replayed ? {} : shown(answer)) }
        })
      },
    )

    app.post(
      '/v1/batches/rejects',
      {
        schema: {
          summary: 'Get the rows that a batch would leave out, as a file to correct and send again',
          description:
            'The same body as for a batch, of which nothing is made. The answer is CSV for CSV, else NDJSON, with what is wrong ' +
            `with each row as its \`fault\`, which is ignored when it is sent again; 204 when no row is wrong.`,
          body: CreateBatch,
          response: {
            200: contentOf('The rows that are not right.', {
              'text/csv': `fault,${examples.csv}`,
              'application/x-ndjson': examples.ndjson,
            }),
            204: noContent('No row is wrong.'),
            ...problems,
          },
        },
        validatorCompiler: batchValidator as never,
      },
      (request, reply) =>
        withBatch(request, BatchOptions.parse({}), async (read) => {
          const rejects = await spoolRejects(deps, read)
          if (!rejects) return reply.code(204).send()
          return reply
            .type(read.form === 'csv' ? 'text/csv; charset=utf-8' : 'application/x-ndjson')
            .header('content-disposition', `attachment; filename="rejects.${read.form === 'csv' ? 'csv' : 'ndjson'}"`)
            .send(rejects)
        }),
    )
  }
