import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { invalid } from '../http-errors.ts'

/** The body and query of a call without any: unknown fields are refused, never ignored. */
export const NoBody = z.union([z.undefined(), z.null(), z.strictObject({})])
export const NoQuery = z.strictObject({})

/** Parses bodies, which are JSON. An empty body of any type counts as none: many clients send that with a POST. */
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
