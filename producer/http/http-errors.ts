import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ProvostError } from '#shared/errors.ts'
import { isRedisAway } from '#shared/redis/redis-away.ts'

/** RFC 9457. `code` is what programs read; `hint` says what to do. */
export const Problem = z
  .object({
    type: z.literal('about:blank'),
    title: z.string(),
    status: z.int(),
    code: z.string(),
    detail: z.string(),
    hint: z.string().optional(),
    /** `line` and `row`: of the file of a batch, from 1. */
    errors: z
      .array(z.object({ line: z.int().optional(), row: z.int().optional(), field: z.string(), message: z.string() }))
      .optional(),
    /** How many more there are than `errors` names. */
    more: z.int().optional(),
  })
  .meta({ id: 'Problem' })
export type Problem = z.infer<typeof Problem>

/** What a route may answer beside its success, for its description. */
export const problems = { '4xx': Problem, '5xx': Problem }

const secondsUntilRetry = 2

/** The one place where a thrown error becomes an answer. What is not ours is logged and told to nobody. */
export function answerError(thrown: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error = translate(thrown)
  if (!error) {
    request.log.error({ err: thrown }, 'unexpected')
    return sendProblem(reply, {
      type: 'about:blank',
      title: titleOf(500),
      status: 500,
      code: 'unexpected',
      detail: "Something went wrong that should not have; the producer's log has it.",
    })
  }
  if (error.code === 'queue_unavailable') {
    request.log.warn({ err: thrown.message }, 'queue unavailable')
    reply.header('retry-after', error.facts.retryAfter ?? secondsUntilRetry)
  }
  return sendProblem(reply, {
    type: 'about:blank',
    title: titleOf(error.status),
    status: error.status,
    code: error.code,
    detail: error.message,
    hint: error.hint,
    ...(error.facts.errors ? { errors: error.facts.errors } : {}),
    ...(error.facts.more === undefined ? {} : { more: error.facts.more }),
  })
}

export function answerNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return answerError(
    new ProvostError('not_found', `There is no ${request.method} ${request.url.split('?')[0]}.`, {
      hint: '/openapi.json lists every call.',
    }) as never,
    request,
    reply,
  )
}

/** What is not HTTP, or has a head that is too large, never becomes a request. */
export function answerBrokenRequest(error: { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const { status, code, message, hint } =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new ProvostError('too_large', 'The URL and headers of the request are too long.', {
          hint: 'Send at most 16 KiB of them.',
        })
      : new ProvostError('invalid_request', 'The request is not HTTP that can be read.')
  const problem: Problem = { type: 'about:blank', title: titleOf(status), status, code, detail: message, hint }
  const body = JSON.stringify(problem)
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'Content-Type: application/problem+json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}

function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  return reply.code(problem.status).header('content-type', 'application/problem+json').serializer(JSON.stringify).send(problem)
}

function translate(thrown: FastifyError): ProvostError | undefined {
  if (thrown instanceof ProvostError) return thrown
  if (hasZodFastifySchemaValidationErrors(thrown)) return invalid(thrown.validation.flatMap(fieldErrors))
  if (thrown.code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new ProvostError('too_large', 'The body is larger than 1 MiB.')
  if (thrown.code === 'FST_ERR_MAX_PARAM_LENGTH') return new ProvostError('not_found', 'There is nothing with so long a name.')
  if (thrown.code === 'FST_ERR_BAD_URL')
    return invalid([{ field: 'url', message: 'has a percent sign that stands for no UTF-8 character' }])
  if (isRedisAway(thrown))
    return new ProvostError('queue_unavailable', 'Redis, which holds the queue and the records, cannot be used now.')
  if (thrown.statusCode !== undefined && thrown.statusCode >= 400 && thrown.statusCode < 500)
    return invalid([{ field: 'body', message: thrown.message }])
  return undefined
}

/** @returns the 400 that names each field at fault. */
export function invalid(errors: { field: string; message: string }[]): ProvostError {
  const detail = errors.map(({ field, message }) => `${field}: ${message}`).join('; ')
  return new ProvostError('invalid_request', `The request is not right: ${detail}.`, { errors })
}

type Fault = { keyword: string; instancePath: string; message?: string | undefined; params: Record<string, unknown> }

function fieldErrors({ keyword, instancePath, message = 'is not right', params }: Fault): { field: string; message: string }[] {
  const path = instancePath.split('/').filter((part) => part !== '')
  if (keyword === 'unrecognized_keys')
    return (params['keys'] as string[]).map((key) => ({ field: [...path, key].join('.'), message: 'is not known' }))
  return [{ field: path.join('.') || 'body', message: / received undefined$/.test(message) ? 'is required' : message }]
}

/** With `about:blank` as its type a problem's title is the status' own phrase (RFC 9457, 4.2.1). */
function titleOf(status: number): string {
  return STATUS_CODES[status] ?? 'Error'
}
