import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ProvostError } from '#shared/errors.ts'
import { CreateJail, Jail, JailState, Limits, PlainName } from '#shared/jail.ts'
import type { Verb } from '../../operations/decide-operation.ts'
import { type JailRecord, toJail } from '../../records/records.ts'
import type { AppDeps } from '../app.ts'
import { problems } from '../http-errors.ts'
import { collectPage, PageQuery, pageOf } from '../page.ts'
import { Accepted, answerOperation, requestHeaders } from './answer-operation.ts'

const Query = z.strictObject({
  client: PlainName.optional(),
  host: PlainName.optional(),
  state: JailState.optional(),
  ...PageQuery,
})
const CreateQuery = z.strictObject({
  dryRun: z
    .enum(['true', 'false'])
    .default('false')
    .describe('Answers what would happen and why, for each host; nothing is done.'),
})
const Trial = z.object({ host: z.string(), fits: z.boolean(), code: z.string().optional(), detail: z.string().optional() })
/** Where a jail would go, or why nowhere. */
const DryRun = z
  .object({
    fits: z.boolean(),
    host: z.string().nullable(),
    addresses: z.array(z.string()),
    limits: Limits.nullable(),
    reason: z.object({ code: z.string(), detail: z.string() }).optional(),
    hosts: z.array(Trial),
  })
  .meta({ id: 'DryRun' })
// A name that no jail can have is not there, rather than wrong: 404, as for any other.
const Params = z.object({ name: z.string().max(256) })

export const jailRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    const { redis, keys, records, operate } = deps

    app.post(
      '/v1/jails',
      {
        schema: {
          summary: 'Ask for a jail',
          headers: requestHeaders,
          querystring: CreateQuery,
          body: CreateJail,
          response: { 200: z.union([Accepted, DryRun]), 202: Accepted, ...problems },
        },
      },
      (request, reply) =>
        request.query.dryRun === 'true'
          ? operate.tryCreate(request.body)
          : answerOperation(request, reply, deps, (idempotency) => operate.create(request.body, idempotency)),
    )

    app.get(
      '/v1/jails',
      { schema: { summary: 'List jails, by name', querystring: Query, response: { 200: pageOf(Jail), ...problems } } },
      async ({ query }) => {
        const index = await narrowestIndex(query)
        return collectPage(
          query,
          (after, count) => redis.zrangebylex(index, after === undefined ? '-' : `(${after}`, '+', 'LIMIT', 0, count),
          async (names) => {
            const found = await records.jails(names)
            return found.filter((jail) => matches(jail, query)).map((jail) => ({ name: jail.name, record: toJail(jail) }))
          },
        )
      },
    )

    app.get(
      '/v1/jails/:name',
      { schema: { summary: 'Show a jail', params: Params, response: { 200: Jail, ...problems } } },
      async ({ params: { name } }) => {
        const jail = await records.jail(name)
        if (!jail) throw new ProvostError('not_found', `There is no jail ${name}.`)
        return toJail(jail)
      },
    )

    for (const verb of ['start', 'stop', 'restart'] as const)
      app.post(
        `/v1/jails/:name/${verb}`,
        {
          schema: {
            summary: `${verb[0]?.toUpperCase()}${verb.slice(1)} a jail`,
            params: Params,
            headers: requestHeaders,
            response: { 200: Accepted, 202: Accepted, ...problems },
          },
        },
        (request, reply) => change(verb, request.params.name, request, reply),
      )

    app.delete(
      '/v1/jails/:name',
      {
        schema: {
          summary: 'Destroy a jail; one that is being provisioned is cancelled first',
          params: Params,
          headers: requestHeaders,
          response: { 200: Accepted, 202: Accepted, ...problems },
        },
      },
      (request, reply) => change('destroy', request.params.name, request, reply),
    )

    function change(verb: Verb, name: string, request: FastifyRequest, reply: Pick<FastifyReply, 'code' | 'header'>) {
      return answerOperation(request, reply, deps, (idempotency) => operate.change(verb, name, idempotency))
    }

    /** Of the lists that the query names the shortest; what it leaves over is left out record by record. */
    async function narrowestIndex(query: z.infer<typeof Query>): Promise<string> {
      const named = (['client', 'host', 'state'] as const).flatMap((by) =>
        query[by] === undefined ? [] : [keys.jails(by, query[by])],
      )
      if (named.length <= 1) return named[0] ?? keys.jails()
      const sizes = await Promise.all(named.map((index) => redis.zcard(index)))
      return named[sizes.indexOf(Math.min(...sizes))] ?? keys.jails()
    }
  }

function matches(jail: JailRecord, { client, host, state }: z.infer<typeof Query>): boolean {
  return (
    (client === undefined || jail.client === client) &&
    (host === undefined || jail.host === host) &&
    (state === undefined || jail.state === state)
  )
}
