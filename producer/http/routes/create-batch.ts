import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { type FastifyPluginAsyncZod, validatorCompiler } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Batch, BatchOptions, CreateBatch, csvColumns, DryRunOfBatch, type RowFault, SkippedRows } from '#shared/batch.ts'
import { readBlocks } from '../../batches/files/read-blocks.ts'
import { readCsv } from '../../batches/files/read-csv.ts'
import { type RawRow, readJsonBody, readJsonLines } from '../../batches/files/read-rows.ts'
import { acceptBatch, tryBatch } from '../../batches/intake/accept-batch.ts'
import type { BatchForm } from '../../batches/intake/validate-rows.ts'
import { toBatch } from '../../records/batches/batch-record.ts'
import { idempotencyOf } from '../../records/operations/idempotency.ts'
import { requestHeaders } from '../answer-operation.ts'
import type { AppDeps } from '../app-deps.ts'
import { invalid, problems } from '../http-errors.ts'

const yesOrNo = z.enum(['true', 'false']).default('false')
const Query = BatchOptions.extend({
  dryRun: yesOrNo.describe('Answers where each row would go, or why nowhere; nothing is done.'),
  skipInvalid: yesOrNo.describe('Leaves out the rows that are not right, rather than to refuse all.'),
})
/** Its rows are validated one by one, as those of a file. */
const JsonBody = BatchOptions.extend({ jails: z.array(z.unknown()).min(1) })

const AcceptedBatch = z.object({ batch: Batch, skipped: SkippedRows })

type Read = { form: BatchForm; options: BatchOptions; rows: AsyncIterable<RawRow>; content(): unknown }

export const createBatchRoute =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    // The handler reads files as they arrive.
    for (const type of ['application/x-ndjson', 'text/csv'])
      app.addContentTypeParser(type, (_request, payload, done) => done(null, payload))

    app.post(
      '/v1/batches',
      {
        schema: {
          summary: 'Ask for many jails at once: all rows are accepted, or none',
          description:
            'JSON, or a file: `application/x-ndjson` with one jail a line, or `text/csv` with a header of the columns ' +
            `${csvColumns.required}[,${csvColumns.optional}]. For a file the options are query parameters.`,
          headers: requestHeaders.pick({ 'idempotency-key': true }),
          querystring: Query,
          body: CreateBatch,
          response: { 200: DryRunOfBatch, 202: AcceptedBatch, ...problems },
        },
        validatorCompiler: (route) => {
          if (route.httpPart !== 'body') return validatorCompiler(route as never)
          const validateJson = validatorCompiler({ ...route, schema: JsonBody } as never)
          return (body: unknown) => (body instanceof Readable ? { value: body } : validateJson(body ?? undefined))
        },
      },
      async (request, reply) => {
        const { dryRun, skipInvalid, ...options } = request.query
        const body: unknown = request.body
        const { content, ...read } =
          body instanceof Readable ? readFile(body, isCsv(request.headers), options) : readJson(request)
        const asked = { ...read, skipInvalid: skipInvalid === 'true' }
        const shown = (faults: RowFault[]) => (asked.skipInvalid ? { skipped: faults } : {})
        try {
          if (dryRun === 'true') {
            const { skipped: faults, ...tried } = await tryBatch(deps, asked)
            return reply.code(200).send({ ...tried, ...shown(faults) })
          }
          const answer = await acceptBatch(deps, asked, () => {
            const { method, url, headers } = request
            const what = { form: read.form, options: read.options, skipInvalid, content: content() }
            return idempotencyOf({ method, url, body: what, header: headers['idempotency-key'] }, request.caller.scope, deps.keys)
          })
          if (answer.replayed) reply.header('idempotency-replayed', 'true')
          reply.code(202).header('location', `/v1/batches/${answer.batch.id}`)
          return { batch: toBatch(answer.batch), ...(answer.replayed ? {} : shown(answer.skipped)) }
        } finally {
          // A client reads the answer only once it has sent all of a file, also of one that was refused early.
          if (body instanceof Readable) body.resume()
        }
      },
    )
  }

const isCsv = (headers: { 'content-type'?: string | undefined }) => /^text\/csv\b/i.test(headers['content-type'] ?? '')

function readFile(body: Readable, asCsv: boolean, options: BatchOptions): Read {
  const hash = createHash('sha256')
  const blocks = readBlocks(body, (bytes) => hash.update(bytes))
  const content = () => hash.digest('hex')
  return asCsv
    ? { form: 'csv', options, rows: readCsv(blocks), content }
    : { form: 'ndjson', options, rows: readJsonLines(blocks), content }
}

/** @throws ProvostError `invalid_request` for options in the query, which would be ignored. */
function readJson({ body, url }: { body: unknown; url: string }): Read {
  const named = [...new URL(url, 'http://producer').searchParams.keys()].filter((name) => name in BatchOptions.shape)
  if (named.length > 0) throw invalid(named.map((field) => ({ field, message: 'stands in the body, when that is JSON' })))
  const { jails, ...options } = body as z.infer<typeof JsonBody>
  return { form: 'json', options, rows: readJsonBody(jails), content: () => jails }
}
