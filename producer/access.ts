import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { ProvostError } from '#shared/errors.ts'

/** Who a request comes from. `scope` is where its idempotency keys live: its client's, or the whole fleet's. */
export type Caller = { role: 'ops'; scope: string }

/** Lets a request in that carries the key. @throws ProvostError `unauthorized`. */
export function makeAccess(apiKey: string) {
  const wanted = digest(apiKey)
  return function callerOf(request: FastifyRequest): Caller {
    const match = /^Bearer ([^\s]+)$/i.exec(request.headers.authorization ?? '')
    if (!match?.[1]) throw new ProvostError('unauthorized', 'The request carries no API key.')
    if (!timingSafeEqual(digest(match[1]), wanted))
      throw new ProvostError('unauthorized', 'The API key is not one of this fleet.')
    return { role: 'ops', scope: 'fleet' }
  }
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}
