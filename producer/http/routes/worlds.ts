import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { WorldState } from '#shared/host.ts'
import { fillWorld } from '../../operations/operate.ts'
import { worldConflicts } from '../../placement/world-conflicts.ts'
import { AcceptedOperation, answerOperation, requestHeaders } from '../answers/answer-operation.ts'
import { ListQuery, pageOfNames, pageSchema } from '../answers/page.ts'
import type { AppDeps } from '../app-deps.ts'
import { problems } from '../http-errors.ts'
import { findHost } from './hosts.ts'

const Params = z.object({ id: z.string().max(64), name: z.string().max(64) })

/** A world by name, and its state on each host that offers it. */
const World = z
  .object({
    name: z.string(),
    /** The platforms on which hosts define it differently, where no jail of it is placed. */
    conflict: z.array(z.string()),
    hosts: z.array(WorldState.omit({ name: true }).extend({ host: z.string(), platform: z.string() })),
  })
  .meta({ id: 'World' })

export const worldRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    const { hosts } = deps

    app.get(
      '/v1/worlds',
      {
        schema: {
          summary: 'List worlds and where they are ready',
          querystring: ListQuery,
          response: { 200: pageSchema(World), ...problems },
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

    app.post(
      '/v1/hosts/:id/worlds/:name/fill',
      {
        schema: {
          summary: 'Make a world ready on a host',
          params: Params,
          headers: requestHeaders,
          response: { 200: AcceptedOperation, 202: AcceptedOperation, ...problems },
        },
      },
      async (request, reply) => {
        const { id, name } = request.params
        const host = findHost(deps, id)
        const { operation } = await answerOperation(deps, request, reply, (idempotency) =>
          fillWorld(deps, host, name, idempotency),
        )
        return { operation }
      },
    )
  }
