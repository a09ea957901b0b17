import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Store } from '../../records/store.ts'

export const sessionCookie = 'provost_session'
export const sessionSeconds = 12 * 3_600

/**
 * Opens a session of a browser: the second of its end (since 1970), a number of its own, and an HMAC of both, keyed by the API key. So
 * every producer with that key accepts it, and a new key ends all sessions. Only those that are ended before their time are stored.
 */
export function openSession(apiKey: string, nowMs = Date.now()): string {
  const facts = `${Math.floor(nowMs / 1000) + sessionSeconds}.${randomBytes(16).toString('base64url')}`
  return `${facts}.${sign(facts, apiKey).toString('base64url')}`
}

/** Whether a session was opened with the key and its time is not over; that it was not ended before is for `isEnded` to say. */
export function isSessionOpen(session: string, apiKey: string, nowMs = Date.now()): boolean {
  const [, facts, end, signature] = /^((\d{1,12})\.[\w-]{22})\.([\w-]{43})$/.exec(session) ?? []
  if (!facts || !signature) return false
  return timingSafeEqual(Buffer.from(signature, 'base64url'), sign(facts, apiKey)) && Number(end) * 1000 > nowMs
}

/** Ends an open session for all producers. */
export async function endSession({ redis, keys }: Pick<Store, 'redis' | 'keys'>, session: string): Promise<void> {
  await redis.set(keys.endedSession(hashOf(session)), '1', 'EX', sessionSeconds)
}

export async function isEnded({ redis, keys }: Pick<Store, 'redis' | 'keys'>, session: string): Promise<boolean> {
  return (await redis.exists(keys.endedSession(hashOf(session)))) === 1
}

function hashOf(session: string): string {
  return createHash('sha256').update(session).digest('base64url')
}

/** Returns the session in a request's `Cookie` header, open or not. */
export function readSession(cookies: string | undefined): string | undefined {
  const mine = cookies?.split(/; */).find((cookie) => cookie.startsWith(`${sessionCookie}=`))
  return mine?.slice(sessionCookie.length + 1)
}

/** Returns a `Set-Cookie` header that sets a session for all below a path, or removes it if there is none. */
export function writeSession(session: string | undefined, path: string, isHttps: boolean): string {
  const facts = [
    `${sessionCookie}=${session ?? ''}`,
    `Path=${path || '/'}`,
    `Max-Age=${session === undefined ? 0 : sessionSeconds}`,
    'HttpOnly',
    'SameSite=Strict',
    ...(isHttps ? ['Secure'] : []),
  ]
  return facts.join('; ')
}

function sign(facts: string, apiKey: string): Buffer {
  return createHmac('sha256', apiKey).update(`session ${facts}`).digest()
}
