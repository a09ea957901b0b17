import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { ProvostError } from '#shared/errors.ts'
import type { Store } from '../../records/store.ts'
import type { PublicUrl } from '../public-url.ts'
import { isEnded, isSessionOpen, readSession } from './session.ts'

/** Who a request comes from. `scope` is the scope of its idempotency keys: one client, or the whole fleet. */
export type Caller = { role: 'ops'; scope: string }

const ops: Caller = { role: 'ops', scope: 'fleet' }

type Access = Pick<Store, 'redis' | 'keys'> & { apiKey: string; publicUrl: PublicUrl }

export function isKey(key: string, apiKey: string): boolean {
  return timingSafeEqual(digest(key), digest(apiKey))
}

/**
 * Returns the caller of a request that carries the API key, or a session that was opened with it.
 * @throws ProvostError `unauthorized`; `forbidden` for a write with a session that a page of another site sent.
 */
export async function callerOf(request: FastifyRequest, { apiKey, publicUrl, ...store }: Access): Promise<Caller> {
  const { authorization, cookie } = request.headers
  if (authorization === undefined) {
    const session = readSession(cookie)
    if (session === undefined) throw new ProvostError('unauthorized', 'The request carries no API key.')
    if (!isSessionOpen(session, apiKey) || (await isEnded(store, session)))
      throw new ProvostError('unauthorized', 'The session has ended.', { hint: 'Log in again at /login.' })
    if (!isRead(request.method)) assertSameOrigin(request, publicUrl)
    return ops
  }
  const key = /^Bearer ([^\s]+)$/i.exec(authorization)?.[1]
  if (!key) throw new ProvostError('unauthorized', 'The request carries no API key.')
  if (!isKey(key, apiKey)) throw new ProvostError('unauthorized', 'The API key is not one of this fleet.')
  return ops
}

export function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

/**
 * A browser sends its session with any request, so pages of other sites must not make it write. Browsers name the origin of a
 * request in `Sec-Fetch-Site`, or without that (plain HTTP) in `Origin`; a client that sends neither is not a browser.
 */
function assertSameOrigin({ headers }: FastifyRequest, publicUrl: PublicUrl): void {
  const { origin, host } = headers
  const site = headers['sec-fetch-site']
  // The origin `null` is not a URL, so it has no host.
  const isOwn = origin === undefined || origin === publicUrl.origin || URL.parse(origin)?.host === host
  const isSame = site === undefined ? isOwn : site === 'same-origin'
  if (!isSame)
    throw new ProvostError('forbidden', 'The request was sent by a page of another site.', {
      hint: 'Use Provost\'s own pages, or send the header "Authorization: Bearer KEY".',
    })
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}
