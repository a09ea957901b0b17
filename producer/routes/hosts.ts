import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ProvostError } from '#shared/errors.ts'
import { Host, WorldState } from '#shared/host.ts'
import type { AppDeps } from '../app.ts'
import { problems } from '../http-errors.ts'
import { collectPage, PageQuery, pageOf } from '../page.ts'
import type { PlacementHost } from '../placement/choose-host.ts'

const Query = z.strictObject(PageQuery)
const Params = z.object({ id: z.string().max(64) })
const One = z.object({ host: Host })

/** A world by name, and how it stands on each host that offers it. */
const World = z
  .object({
    name: z.string(),
    hosts: z.array(WorldState.omit({ name: true }).extend({ host: z.string(), platform: z.string() })),
  })
  .meta({ id: 'World' })

export const hostRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    const { redis, keys, hosts, announceHost } = deps

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
      { schema: { summary: 'Show a host', params: Params, response: { 200: Host, ...problems } } },
      async ({ params }) => toHost(find(params.id)),
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
        const worlds = [...byName].map(
          ([name, states]) => [name, { name, hosts: states.map(({ name: _, ...state }) => state) }] as const,
        )
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
