import rateLimit from '@fastify/rate-limit'
import type { FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ProvostError } from '#shared/errors.ts'
import type { AppDeps } from '../app-deps.ts'
import { NoQuery } from '../requests/read-body.ts'
import { isKey } from './access.ts'
import { loginPage, pageHeaders } from './login-page.ts'
import { endSession, isSessionOpen, openSession, readSession, writeSession } from './session.ts'

/** Where a browser is redirected: on this site only. It takes a backslash for a slash, and two slashes for another site. */
const LocalPath = z
  .string()
  .max(2_000)
  .regex(/^\/(?!\/)[\x21-\x5b\x5d-\x7e]*$/, 'must be a path on this site, like /queues')
  .default('/queues')

const Query = z.strictObject({ to: LocalPath })
const Login = z.strictObject({ key: z.string().trim().max(1_024), to: LocalPath })

const formType = 'application/x-www-form-urlencoded'

const mostLogins = 30
const loginsMs = 60_000

function tooMany(ttlMs: number): ProvostError {
  const retryAfter = Math.max(1, Math.ceil(ttlMs / 1000))
  return new ProvostError('rate_limited', `There were more than ${mostLogins} logins from this address within a minute.`, {
    hint: `Try again in ${retryAfter} s.`,
    retryAfter,
  })
}

/** Opens a session for whoever sends the key, by a form or as JSON. */
export const loginRoutes =
  ({ apiKey, publicUrl, ...store }: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    const open = { security: [] }
    // A key cannot be guessed, but nobody needs to try.
    await app.register(rateLimit, { global: false, errorResponseBuilder: (_request, { ttl }) => tooMany(ttl) })
    const { path } = publicUrl
    app.addContentTypeParser(formType, { parseAs: 'string' }, (_request, body, done) =>
      done(null, Object.fromEntries(new URLSearchParams(String(body)))),
    )

    app.get(
      '/login',
      { schema: { summary: 'The page that asks for the key', ...open, querystring: Query } },
      ({ query }, reply) => reply.headers(pageHeaders).send(loginPage({ ...query, path })),
    )

    app.post(
      '/login',
      {
        config: { rateLimit: { max: mostLogins, timeWindow: loginsMs } },
        schema: { summary: 'Get a session cookie for the key', ...open, querystring: NoQuery, body: Login },
      },
      (request, reply) => {
        const { key, to } = request.body
        const isForm = request.headers['content-type']?.startsWith(formType)
        if (isKey(key, apiKey)) {
          reply.header('set-cookie', writeSession(openSession(apiKey), path, isHttps(request)))
          return isForm ? reply.redirect(to, 303) : reply.code(204).send()
        }
        const refusal = 'This is not a key of this fleet.'
        if (!isForm) throw new ProvostError('unauthorized', refusal, { hint: 'Check the key.' })
        return reply.code(401).headers(pageHeaders).send(loginPage({ to, path, refusal }))
      },
    )

    app.route({
      method: ['GET', 'POST'],
      url: '/logout',
      schema: { summary: 'End the session, here and for whoever else has its cookie', ...open, querystring: NoQuery },
      handler: async (request, reply) => {
        const session = readSession(request.headers.cookie)
        if (session !== undefined && isSessionOpen(session, apiKey)) await endSession(store, session)
        return reply.header('set-cookie', writeSession(undefined, path, isHttps(request))).redirect('/login', 303)
      },
    })

    /** Also true behind a proxy that terminates TLS. A false header harms only its sender. */
    function isHttps(request: FastifyRequest): boolean {
      const isPublic = publicUrl.origin?.startsWith('https:')
      return isPublic || request.protocol === 'https' || String(request.headers['x-forwarded-proto']).startsWith('https')
    }
  }
