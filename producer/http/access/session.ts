import { createHmac, timingSafeEqual } from 'node:crypto'

export const sessionCookie = 'provost_session'
export const sessionSeconds = 12 * 3_600

/**
 * Opens a session of a browser. Sessions are not stored: one is the second of its end (since 1970) and an HMAC of that, keyed by
 * the API key. So every producer with that key accepts it, and a new key ends all sessions.
 */
export function openSession(apiKey: string, nowMs = Date.now()): string {
  const end = String(Math.floor(nowMs / 1000) + sessionSeconds)
  return `${end}.${sign(end, apiKey).toString('base64url')}`
}

export function isSessionOpen(session: string, apiKey: string, nowMs = Date.now()): boolean {
  const [, end, signature] = /^(\d{1,12})\.([\w-]{43})$/.exec(session) ?? []
  if (!end || !signature) return false
  return timingSafeEqual(Buffer.from(signature, 'base64url'), sign(end, apiKey)) && Number(end) * 1000 > nowMs
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

function sign(end: string, apiKey: string): Buffer {
  return createHmac('sha256', apiKey).update(`session until ${end}`).digest()
}
