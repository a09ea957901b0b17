import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { mostConsoleBytes } from '#shared/console.ts'
import { ProvostError } from '#shared/errors.ts'
import { CreateJail, DryRun, Jail, JailState, PlainName } from '#shared/jail.ts'
import { JailOperationKind } from '#shared/operation.ts'
import { makeConsoles } from '../../hosts/follow-consoles.ts'
import { readConsole } from '../../hosts/read-console.ts'
import { tryAdmission } from '../../operations/admit.ts'
import type { Verb } from '../../operations/decide-operation.ts'
import { createJail, operateJail } from '../../operations/operate.ts'
import { narrowestList } from '../../records/jails/jail-lists.ts'
import { type JailRecord, toJail } from '../../records/jails/jail-record.ts'
import { pageOf } from '../../records/lists.ts'
import { Accepted, answerOperation, requestHeaders } from '../answers/answer-operation.ts'
import { collectPage, PageQuery, pageSchema } from '../answers/page.ts'
import type { AppDeps } from '../app-deps.ts'
import { problems } from '../http-errors.ts'

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
const LogQuery = z.strictObject({
  bytes: z.coerce
    .number()
    .int()
    .min(1)
    .max(mostConsoleBytes)
    .default(64 * 1024)
    .describe('How much of its end, at most.'),
  follow: z
    .enum(['true', 'false', ''])
    .default('false')
    .describe('Goes on with what is printed from then on, until the jail is gone. Without a value: it does.'),
})
// A name that no jail can have is not an invalid request: it is answered with 404, like any other name without a jail.
const Params = z.object({ name: z.string().max(256) })
const answers = { 200: Accepted, 202: Accepted, ...problems }

/** Routes that show jails. */
export const jailRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    const { redis, records } = deps
    const consoles = makeConsoles(deps)

    app.get(
      '/v1/jails',
      { schema: { summary: 'List jails, by name', querystring: Query, response: { 200: pageSchema(Jail), ...problems } } },
      async ({ query }) => {
        const list = await narrowestList(deps, query)
        return collectPage(
          query,
          (after, count) => pageOf(redis, list, { after, count }),
          async (names) => {
            const jails = await records.jails(names)
            return jails.filter((jail) => matches(jail, query)).map((jail) => ({ name: jail.name, record: toJail(jail) }))
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

    app.get(
      '/v1/jails/:name/log',
      {
        // No HEAD, as it would wait for the end of what is followed.
        exposeHeadRoute: false,
        schema: { summary: 'What its processes printed last, asked of its host', params: Params, querystring: LogQuery },
      },
      async ({ params: { name }, query: { bytes: mostBytes, follow } }, reply) => {
        const jail = await records.jail(name)
        if (!jail) throw new ProvostError('not_found', `There is no jail ${name}.`)
        reply.type('text/plain; charset=utf-8')
        if (follow === 'false') return reply.send((await readConsole(deps, jail, { mostBytes }))?.text ?? '')
        const ending = new AbortController()
        const unsubscribe = deps.feed.subscribe(
          () => undefined,
          () => ending.abort(),
        )
        ending.signal.addEventListener('abort', unsubscribe)
        reply.raw.once('close', () => ending.abort())
        const printed = consoles.follow(jail, { mostBytes, signal: ending.signal })
        printed.catch(() => ending.abort())
        return reply.send(Readable.from(await printed))
      },
    )
  }

/** Routes that request operations on jails. */
export const jailOperationRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/v1/jails',
      {
        schema: {
          summary: 'Ask for a jail',
          headers: requestHeaders,
          querystring: CreateQuery,
          body: CreateJail,
          response: { ...answers, 200: z.union([Accepted, DryRun]) },
        },
      },
      (request, reply) =>
        request.query.dryRun === 'true'
          ? tryAdmission(deps, request.body)
          : answerOperation(deps, request, reply, (idempotency) => createJail(deps, request.body, idempotency)),
    )

    for (const verb of JailOperationKind.exclude(['provision', 'destroy']).options)
      app.post(
        `/v1/jails/:name/${verb}`,
        {
          schema: {
            summary: `${verb[0]?.toUpperCase()}${verb.slice(1)} a jail`,
            params: Params,
            headers: requestHeaders,
            response: answers,
          },
        },
        (request, reply) => operate(verb, request.params.name, request, reply),
      )

    app.delete(
      '/v1/jails/:name',
      {
        schema: {
          summary: 'Destroy a jail; one that is being provisioned is cancelled first',
          params: Params,
          headers: requestHeaders,
          response: answers,
        },
      },
      (request, reply) => operate('destroy', request.params.name, request, reply),
    )

    function operate(verb: Verb, name: string, request: FastifyRequest, reply: Pick<FastifyReply, 'code' | 'header'>) {
      return answerOperation(deps, request, reply, (idempotency) => operateJail(deps, verb, name, idempotency))
    }
  }

function matches(jail: JailRecord, { client, host, state }: z.infer<typeof Query>): boolean {
  return (
    (client === undefined || jail.client === client) &&
    (host === undefined || jail.host === host) &&
    (state === undefined || jail.state === state)
  )
}
