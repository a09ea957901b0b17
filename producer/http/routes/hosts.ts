import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ProvostError } from '#shared/errors.ts'
import { DryRunOfForget, Host, HostInDetail } from '#shared/host.ts'
import { announceHost } from '../../hosts/announce-host.ts'
import { forgetHost, tryForgetHost } from '../../hosts/forget-host.ts'
import { readDrift } from '../../hosts/orphans/orphans.ts'
import type { PlacementHost } from '../../placement/placement-host.ts'
import { ListQuery, pageOfNames, pageSchema } from '../answers/page.ts'
import type { AppDeps } from '../app-deps.ts'
import { problems } from '../http-errors.ts'
import { DryRunQuery } from '../requests/dry-run-query.ts'

const Params = z.object({ id: z.string().max(64) })
const Forget = z.strictObject({ poweredOff: z.boolean().optional() }).nullish()
const Forgotten = z.object({
  host: z.string(),
  operationsFailed: z.int(),
  jailsForgotten: z.int(),
  addressesHeld: z.int(),
})

/** Routes that show hosts, drain and forget them. */
export const hostRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    const { redis, keys, hosts } = deps

    app.get(
      '/v1/hosts',
      { schema: { summary: 'List hosts', querystring: ListQuery, response: { 200: pageSchema(Host), ...problems } } },
      ({ query }) => pageOfNames(query, new Map(hosts.all().map((host) => [host.id, toHost(host)]))),
    )

    app.get(
      '/v1/hosts/:id',
      { schema: { summary: 'Show a host', params: Params, response: { 200: HostInDetail, ...problems } } },
      async ({ params }) => {
        const drifts = await readDrift(deps, params.id)
        return {
          ...toHost(findHost(deps, params.id)),
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
            response: { 200: z.object({ host: Host }), ...problems },
          },
        },
        async ({ params: { id } }) => {
          findHost(deps, id)
          await (verb === 'drain' ? redis.sadd(keys.draining, id) : redis.srem(keys.draining, id))
          await hosts.refresh()
          void announceHost(deps, id)
          return { host: toHost(findHost(deps, id)) }
        },
      )

    app.post(
      '/v1/hosts/:id/forget',
      {
        schema: {
          summary: 'Give up a host that is down: what waits there fails, its jails are no longer of the fleet',
          params: Params,
          querystring: DryRunQuery,
          body: Forget,
          response: { 200: z.union([Forgotten, DryRunOfForget]), ...problems },
        },
      },
      async ({ params, query, body }) => {
        const poweredOff = body?.poweredOff ?? false
        if (query.dryRun === 'true') return tryForgetHost(deps, params.id, poweredOff)
        const forgotten = await forgetHost(deps, params.id, poweredOff)
        await hosts.refresh()
        return forgotten
      },
    )
  }

/** @throws ProvostError `not_found`. */
export function findHost({ hosts }: Pick<AppDeps, 'hosts'>, id: string): PlacementHost {
  const host = hosts.get(id)
  if (!host) throw new ProvostError('not_found', `There is no host ${id}.`)
  return host
}

export function toHost({ defaults: _defaults, unfit: _unfit, ...host }: PlacementHost): Host {
  return host
}
