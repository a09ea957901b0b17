import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { FaultCauses, RowFault } from '#shared/batch.ts'
import { ErrorCodeText } from '#shared/error-code.ts'
import { ProvostError } from '#shared/errors.ts'
import { isRedisAway, isWriteRefused } from '#shared/redis/redis-away.ts'
import { writesRefused } from '../records/watch-writes.ts'
import { examples } from './openapi/examples.ts'

/** A problem as in RFC 9457. `code` is for programs; `hint` is what a person can do. */
const Problem = z
  .object({
    type: z.literal('about:blank'),
    title: z.string(),
    status: z.int(),
    code: ErrorCodeText,
    detail: z.string(),
    hint: z.string().optional(),
    /** `line` and `row`: of the file of a batch, from 1. */
    errors: z.array(RowFault.partial({ line: true })).optional(),
    /** How many more there are than `errors` names. */
    more: z.int().optional(),
    causes: FaultCauses.optional(),
  })
  .meta({ id: 'Problem', examples: [examples.problem] })
type Problem = z.infer<typeof Problem>

/** The error answers of a route, for its description. */
export const problems = { '4xx': Problem, '5xx': Problem }

const secondsUntilRetry = 2

/** Translates any thrown error into an answer. An error that is not ours is logged, and not shown to the caller. */
export function answerError(thrown: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error = translate(thrown)
  if (!error) {
    request.log.error({ err: thrown }, 'unexpected')
    const detail = "Something went wrong that should not have; the producer's log has it."
    return sendProblem(reply, problemOf({ status: 500, code: 'unexpected', message: detail }))
  }
  const isAway = error.code === 'queue_unavailable'
  if (isAway) request.log.warn({ err: thrown.message }, 'queue unavailable')
  const retryAfter = error.facts.retryAfter ?? (isAway ? secondsUntilRetry : undefined)
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter)
  return sendProblem(reply, {
    ...problemOf(error),
    hint: error.hint,
    ...(error.facts.errors ? { errors: error.facts.errors } : {}),
    ...(error.facts.more === undefined ? {} : { more: error.facts.more }),
    ...(error.facts.causes ? { causes: error.facts.causes } : {}),
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

/** Answers what is not HTTP or has too large a head, and so never becomes a request. */
export function answerBrokenRequest(error: { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const refusal =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new ProvostError('too_large', 'The URL and headers of the request are too long.', {
          hint: 'Send at most 16 KiB of them.',
        })
      : new ProvostError('invalid_request', 'The request is not HTTP that can be read.')
  const problem: Problem = { ...problemOf(refusal), hint: refusal.hint }
  const body = JSON.stringify(problem)
  socket.end(
    [
      `HTTP/1.1 ${problem.status} ${problem.title}`,
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
  if (isWriteRefused(thrown)) return writesRefused(thrown.message)
  if (isRedisAway(thrown))
    return new ProvostError('queue_unavailable', 'Redis, which holds the queue and the records, cannot be used now.')
  if (thrown.statusCode !== undefined && thrown.statusCode >= 400 && thrown.statusCode < 500)
    return invalid([{ field: 'body', message: thrown.message }])
  return undefined
}

/** Returns the 400 that names each faulty field. */
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

/** The title of a problem of type `about:blank` is the phrase of its status (RFC 9457, 4.2.1). */
function problemOf({ status, code, message }: { status: number; code: string; message: string }): Problem {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, code, detail: message }
}
