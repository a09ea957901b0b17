import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ErrorCodeText } from '#shared/error-code.ts'
import { DryRunOfClean, Leftover } from '#shared/host.ts'
import { JailName } from '#shared/jail.ts'
import { Operation } from '#shared/operation.ts'
import { readLeftovers, retryLeftovers } from '../../hosts/leftovers.ts'
import { adoptOrphans, cleanOrphans, tryCleanOrphans } from '../../hosts/orphans/orphans.ts'
import type { AppDeps } from '../app-deps.ts'
import { problems } from '../http-errors.ts'
import { DryRunQuery } from '../requests/dry-run-query.ts'
import { findHost } from './hosts.ts'

const Params = z.object({ id: z.string().max(64) })
/** The orphans of a host to work on; all if none is named. */
const Named = z.strictObject({ jails: z.array(JailName).min(1).max(10_000).optional() }).nullish()
const Adopted = z.object({
  adopted: z.array(z.string()),
  refused: z.array(z.object({ jail: z.string(), code: ErrorCodeText, detail: z.string() })),
})
const Leftovers = z.object({ items: z.array(Leftover) })

/** Routes for what is on a host but should not be, or is unknown to the fleet. */
export const hostUpkeepRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
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
      ({ params, body }) => adoptOrphans(deps, findHost(deps, params.id), body?.jails),
    )

    app.post(
      '/v1/hosts/:id/clean',
      {
        schema: {
          summary: 'Destroy jails that a host has and the fleet does not know',
          params: Params,
          querystring: DryRunQuery,
          body: Named,
          response: { 200: DryRunOfClean, 202: z.object({ operations: z.array(Operation) }), ...problems },
        },
      },
      async ({ params, query, body }, reply) => {
        const host = findHost(deps, params.id)
        if (query.dryRun === 'true') return reply.code(200).send(await tryCleanOrphans(deps, host, body?.jails))
        const operations = await cleanOrphans(deps, host, body?.jails)
        return reply.code(202).send({ operations: await deps.explain(operations) })
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
      async ({ params }) => ({ items: await readLeftovers(deps, findHost(deps, params.id).id) }),
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
        const { id } = findHost(deps, params.id)
        await retryLeftovers(deps, id)
        return reply.code(202).send({ items: await readLeftovers(deps, id) })
      },
    )
  }
