import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { validatorCompiler } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { BatchOptions } from '#shared/batch.ts'
import { ProvostError } from '#shared/errors.ts'
import { type FileForm, readFile } from '../../batches/files/read-file.ts'
import { type RawRow, readJsonBody } from '../../batches/files/read-rows.ts'
import type { BatchForm } from '../../batches/intake/validate-rows.ts'
import { invalid } from '../http-errors.ts'

/** What a file may be sent as. Browsers on Windows call CSV what its program is called. */
const fileTypes: Record<string, FileForm> = {
  'text/csv': 'csv',
  'application/csv': 'csv',
  'text/tab-separated-values': 'csv',
  'application/vnd.ms-excel': 'csv',
  // A workbook is refused as what it is.
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'csv',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
}

/** Its rows are validated one by one, as those of a file. */
const JsonBody = BatchOptions.extend({ jails: z.array(z.unknown()).min(1) })

type ReadBatch = { form: BatchForm; options: BatchOptions; rows: AsyncIterable<RawRow>; content(): unknown }

/** Lets the routes of an app get files as streams. */
export function acceptFiles(app: Pick<FastifyInstance, 'addContentTypeParser'>): void {
  for (const type of Object.keys(fileTypes)) app.addContentTypeParser(type, (_request, payload, done) => done(null, payload))
  app.addContentTypeParser('*', ({ headers }, payload, done) => {
    payload.resume()
    if (headers['content-length'] === '0') return done(null, undefined)
    const type = headers['content-type']
    done(
      new ProvostError('invalid_request', `The body is sent as ${type ?? 'nothing known'}, which no batch is.`, {
        hint: 'Send the header "Content-Type: text/csv", or application/x-ndjson or application/json.',
        errors: [{ field: 'body', message: 'must be CSV, NDJSON or JSON, and named so by the Content-Type' }],
      }),
    )
  })
}

/** Validates a body of JSON, but for its rows, and lets a file pass. */
export const batchValidator: typeof validatorCompiler = (route) => {
  if (route.httpPart !== 'body') return validatorCompiler(route)
  const validateJson = validatorCompiler({ ...route, schema: JsonBody })
  return (body: unknown) => (body instanceof Readable ? { value: body } : validateJson(body ?? undefined))
}

/**
 * Reads the batch of a request while `use` takes its rows. `options`: of the query, for a file.
 * @throws ProvostError `invalid_request` for options in the query of a request in JSON, which would be ignored; what `use` throws.
 */
export async function withBatch<T>(
  { body, url, headers }: Pick<FastifyRequest, 'body' | 'url' | 'headers'>,
  options: BatchOptions,
  use: (batch: ReadBatch) => Promise<T>,
): Promise<T> {
  if (!(body instanceof Readable)) return use(readJson(body as z.infer<typeof JsonBody>, url))
  const [type = '', ...parameters] = (headers['content-type'] ?? '').split(';').map((part) => part.trim())
  const charset = parameters.map((each) => /^charset="?([^"]+)"?$/i.exec(each)?.[1]).find(Boolean)
  try {
    return await use({ options, ...readFile(body, fileTypes[type.toLowerCase()] ?? 'csv', charset) })
  } finally {
    // A client reads the answer only once it has sent all of a file, also of one that was refused early.
    body.resume()
  }
}

function readJson({ jails, ...options }: z.infer<typeof JsonBody>, url: string): ReadBatch {
  const named = [...new URL(url, 'http://producer').searchParams.keys()].filter((name) => name in BatchOptions.shape)
  if (named.length > 0) throw invalid(named.map((field) => ({ field, message: 'stands in the body, when that is JSON' })))
  return { form: 'json', options, rows: readJsonBody(jails), content: () => jails }
}
