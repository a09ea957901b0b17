import { createHmac, timingSafeEqual } from 'node:crypto'

export const sessionCookie = 'provost_session'
export const sessionSeconds = 12 * 3_600

export type Sessions = ReturnType<typeof makeSessions>

/**
 * Sessions of browsers, which nothing keeps: a session is the second of its end (since 1970) and an HMAC over that, keyed by
 * the API key. So every producer with that key knows it, and a new key ends them all.
 */
export function makeSessions(apiKey: string, now: () => number = Date.now) {
  const sign = (end: string) => createHmac('sha256', apiKey).update(`session until ${end}`).digest()

  return {
    open(): string {
      const end = String(Math.floor(now() / 1000) + sessionSeconds)
      return `${end}.${sign(end).toString('base64url')}`
    },
    isOpen(session: string): boolean {
      const [, end, signature] = /^(\d{1,12})\.([\w-]{43})$/.exec(session) ?? []
      if (!end || !signature) return false
      return timingSafeEqual(Buffer.from(signature, 'base64url'), sign(end)) && Number(end) * 1000 > now()
    },
  }
}

/** The session that a request's `Cookie` header carries, open or not. */
export function readSession(cookies: string | undefined): string | undefined {
  const mine = cookies?.split(/; */).find((cookie) => cookie.startsWith(`${sessionCookie}=`))
  return mine?.slice(sessionCookie.length + 1)
}

/** A `Set-Cookie` header that keeps a session, or without one makes the browser forget it. */
export function writeSession(session: string | undefined, isHttps: boolean): string {
  const facts = [
    `${sessionCookie}=${session ?? ''}`,
    'Path=/',
    `Max-Age=${session === undefined ? 0 : sessionSeconds}`,
    'HttpOnly',
    'SameSite=Strict',
    ...(isHttps ? ['Secure'] : []),
  ]
  return facts.join('; ')
}
