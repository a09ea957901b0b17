import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ProvostError } from '#shared/errors.ts'
import { Host, HostInDetail, Leftover, WorldState } from '#shared/host.ts'
import { JailName } from '#shared/jail.ts'
import { Operation } from '#shared/operation.ts'
import { askToRetryLeftovers, readLeftovers } from '../../hosts/leftovers.ts'
import { readDrift } from '../../hosts/orphans.ts'
import type { PlacementHost } from '../../placement/choose-host.ts'
import { worldConflicts } from '../../placement/world-conflicts.ts'
import type { AppDeps } from '../app.ts'
import { problems } from '../http-errors.ts'
import { collectPage, PageQuery, pageOf } from '../page.ts'
import { AcceptedOperation, answerOperation, requestHeaders } from './answer-operation.ts'

const Query = z.strictObject(PageQuery)
const Params = z.object({ id: z.string().max(64) })
const One = z.object({ host: Host })
const WorldParams = Params.extend({ name: z.string().max(64) })
/** Which orphans of a host; none named: all. */
const Named = z.strictObject({ jails: z.array(JailName).min(1).max(1_000).optional() }).nullish()
const Adopted = z.object({
  adopted: z.array(z.string()),
  refused: z.array(z.object({ jail: z.string(), code: z.string(), detail: z.string() })),
})
const Leftovers = z.object({ items: z.array(Leftover) })
const Forget = z.strictObject({ poweredOff: z.boolean().optional() }).nullish()
const Forgotten = z.object({
  host: z.string(),
  operationsFailed: z.int(),
  jailsForgotten: z.int(),
  addressesHeld: z.int(),
})

/** A world by name, and how it stands on each host that offers it. */
const World = z
  .object({
    name: z.string(),
    /** The platforms on which hosts define it differently: no jail of it is placed there. */
    conflict: z.array(z.string()),
    hosts: z.array(WorldState.omit({ name: true }).extend({ host: z.string(), platform: z.string() })),
  })
  .meta({ id: 'World' })

export const hostRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    const { redis, keys, hosts, announceHost, operate, orphans, forgetHost, explain } = deps

    function find(id: string): PlacementHost {
      const host = hosts.get(id)
      if (!host) throw new ProvostError('not_found', `There is no host ${id}.`)
      return host
    }

    app.get(
      '/v1/hosts',
      { schema: { summary: 'List hosts', querystring: Query, response: { 200: pageOf(Host), ...problems } } },
      ({ query }) => pageOfNames(query, new Map(hosts.all().map((host) => [host.id, toHost(host)]))),
    )

    app.get(
      '/v1/hosts/:id',
      { schema: { summary: 'Show a host', params: Params, response: { 200: HostInDetail, ...problems } } },
      async ({ params }) => {
        const drifts = await readDrift(redis, keys, params.id)
        return {
          ...toHost(find(params.id)),
          drifts: drifts.map(({ found, jail, reason, since }) => ({ found, jail, reason, since })),
        }
      },
    )

    for (const verb of ['drain', 'undrain'] as const)
      app.post(
        `/v1/hosts/:id/${verb}`,
        {
          schema: {
            summary: verb === 'drain' ? 'Let a host take no new jails' : 'Let a host take jails again',
            params: Params,
            response: { 200: One, ...problems },
          },
        },
        async ({ params: { id } }) => {
          find(id)
          await (verb === 'drain' ? redis.sadd(keys.draining, id) : redis.srem(keys.draining, id))
          await hosts.refresh()
          announceHost(id)
          return { host: toHost(find(id)) }
        },
      )

    app.post(
      '/v1/hosts/:id/adopt',
      {
        schema: {
          summary: 'Make jails that a host has and the fleet does not know jails of the fleet',
          params: Params,
          body: Named,
          response: { 200: Adopted, ...problems },
        },
      },
      ({ params, body }) => orphans.adopt(find(params.id), body?.jails),
    )

    app.post(
      '/v1/hosts/:id/clean',
      {
        schema: {
          summary: 'Destroy jails that a host has and the fleet does not know',
          params: Params,
          body: Named,
          response: { 202: z.object({ operations: z.array(Operation) }), ...problems },
        },
      },
      async ({ params, body }, reply) => {
        const operations = await orphans.clean(find(params.id), body?.jails)
        return reply.code(202).send({ operations: await explain(operations) })
      },
    )

    app.get(
      '/v1/hosts/:id/leftovers',
      {
        schema: {
          summary: 'List what a host could not remove and tries again',
          params: Params,
          response: { 200: Leftovers, ...problems },
        },
      },
      async ({ params }) => ({ items: await readLeftovers(redis, keys, find(params.id).id) }),
    )

    app.post(
      '/v1/hosts/:id/leftovers/retry',
      {
        schema: {
          summary: 'Let a host try now to remove what it could not',
          params: Params,
          response: { 202: Leftovers, ...problems },
        },
      },
      async ({ params }, reply) => {
        const { id } = find(params.id)
        await askToRetryLeftovers(redis, keys, id)
        return reply.code(202).send({ items: await readLeftovers(redis, keys, id) })
      },
    )

    app.post(
      '/v1/hosts/:id/forget',
      {
        schema: {
          summary: 'Give up a host that is down: what waits there fails, its jails are no longer of the fleet',
          params: Params,
          body: Forget,
          response: { 200: Forgotten, ...problems },
        },
      },
      async ({ params, body }) => {
        const forgotten = await forgetHost(params.id, body?.poweredOff ?? false)
        await hosts.refresh()
        return forgotten
      },
    )

    app.post(
      '/v1/hosts/:id/worlds/:name/fill',
      {
        schema: {
          summary: 'Make a world ready on a host',
          params: WorldParams,
          headers: requestHeaders,
          response: { 200: AcceptedOperation, 202: AcceptedOperation, ...problems },
        },
      },
      async (request, reply) => {
        const { id, name } = request.params
        const host = find(id)
        const { operation } = await answerOperation(request, reply, deps, (idempotency) => operate.fill(host, name, idempotency))
        return { operation }
      },
    )

    app.get(
      '/v1/worlds',
      {
        schema: {
          summary: 'List worlds and where they are ready',
          querystring: Query,
          response: { 200: pageOf(World), ...problems },
        },
      },
      ({ query }) => {
        const all = hosts
          .all()
          .flatMap((host) => host.worlds.map((world) => ({ ...world, host: host.id, platform: host.platform })))
        const byName = Map.groupBy(all, ({ name }) => name)
        const conflicts = worldConflicts(hosts.all())
        const worlds = [...byName].map(([name, states]) => {
          const conflict = [...(conflicts.get(name)?.keys() ?? [])].sort()
          return [name, { name, conflict, hosts: states.map(({ name: _, ...state }) => state) }] as const
        })
        return pageOfNames(query, new Map(worlds))
      },
    )
  }

export function toHost({ defaults: _defaults, supports: _supports, ...host }: PlacementHost): z.infer<typeof Host> {
  return host
}

function pageOfNames<T>(query: z.infer<typeof Query>, all: Map<string, T>) {
  const names = [...all.keys()].sort()
  return collectPage(
    query,
    async (after, count) => names.filter((name) => after === undefined || name > after).slice(0, count),
    async (page) => page.flatMap((name) => (all.has(name) ? [{ name, record: all.get(name) as T }] : [])),
  )
}
