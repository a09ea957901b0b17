import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { invalid } from './http-errors.ts'

/** What a call takes that takes nothing: an unknown field is refused, never ignored. */
export const NoBody = z.union([z.undefined(), z.null(), z.strictObject({})])
export const NoQuery = z.strictObject({})

/** Bodies are JSON. An empty one of whatever kind is none: many clients send it so on a POST without one. */
export function readBodies(app: Pick<FastifyInstance, 'removeAllContentTypeParsers' | 'addContentTypeParser'>): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null, undefined)
    try {
      done(null, JSON.parse(String(body)))
    } catch (error) {
      done(invalid([{ field: 'body', message: `is not JSON: ${error instanceof Error ? error.message : error}` }]))
    }
  })
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null, undefined)
    done(invalid([{ field: 'body', message: 'must be JSON, with the header "Content-Type: application/json"' }]))
  })
}
