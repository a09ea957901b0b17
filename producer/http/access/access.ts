import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { ProvostError } from '#shared/errors.ts'
import { readSession, type Sessions } from './session.ts'

/** Who a request comes from. `scope` is where its idempotency keys live: its client's, or the whole fleet's. */
export type Caller = { role: 'ops'; scope: string }

export type Access = ReturnType<typeof makeAccess>

const ops: Caller = { role: 'ops', scope: 'fleet' }

export function makeAccess(apiKey: string, sessions: Sessions) {
  const wanted = digest(apiKey)
  const isKey = (key: string) => timingSafeEqual(digest(key), wanted)

  return {
    isKey,

    /**
     * Lets a request in that carries the key, or the session that the key was given for.
     * @throws ProvostError `unauthorized`; `forbidden` for a write with a session that another site's page sent.
     */
    callerOf(request: FastifyRequest): Caller {
      const { authorization, cookie } = request.headers
      if (authorization === undefined) {
        const session = readSession(cookie)
        if (session === undefined) throw new ProvostError('unauthorized', 'The request carries no API key.')
        if (!sessions.isOpen(session))
          throw new ProvostError('unauthorized', 'The session has ended.', { hint: 'Log in again at /login.' })
        if (!isRead(request.method)) assertSameOrigin(request)
        return ops
      }
      const key = /^Bearer ([^\s]+)$/i.exec(authorization)?.[1]
      if (!key) throw new ProvostError('unauthorized', 'The request carries no API key.')
      if (!isKey(key)) throw new ProvostError('unauthorized', 'The API key is not one of this fleet.')
      return ops
    },
  }
}

export function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

/**
 * A browser sends a session by itself, so a page must not make it write for somebody else. Browsers say where a request comes
 * from in `Sec-Fetch-Site`, or where they do not (plain HTTP) in `Origin`; what sends neither is no browser.
 */
function assertSameOrigin({ headers }: FastifyRequest): void {
  const { origin, host } = headers
  const site = headers['sec-fetch-site']
  const isSame = site === undefined ? origin === undefined || hostOf(origin) === host : site === 'same-origin'
  if (!isSame)
    throw new ProvostError('forbidden', 'The request was sent by a page of another site.', {
      hint: 'Use Provost\'s own pages, or send the header "Authorization: Bearer KEY".',
    })
}

/** Undefined for what is no URL, as the origin `null`. */
function hostOf(origin: string): string | undefined {
  return URL.parse(origin)?.host
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}
