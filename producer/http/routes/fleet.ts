import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { ProvostError } from '#shared/errors.ts'
import { Recovery } from '#shared/recovery.ts'
import { isRedisAway } from '#shared/redis/redis-away.ts'
import { contentOf } from '../answers/content.ts'
import type { AppDeps } from '../app-deps.ts'
import { problems } from '../http-errors.ts'
import { examples } from '../openapi/examples.ts'

/** Routes of the fleet as a whole: its metrics, and whether its records are complete. */
export const fleetRoutes =
  ({ recovery, metrics }: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/metrics',
      {
        schema: {
          summary: 'The fleet in numbers, for Prometheus',
          response: { 200: contentOf('All figures.', { 'text/plain': examples.metrics }) },
        },
      },
      async (_request, reply) => {
        const ofFleet = await recovery.fromWhole(metrics.ofFleet).catch(throwUnlessUnavailable)
        reply.type(metrics.contentType)
        return metrics.text(ofFleet)
      },
    )

    app.get(
      '/v1/recover',
      { schema: { summary: 'Show whether records that Redis lost are being rebuilt', response: { 200: Recovery, ...problems } } },
      () => recovery.show(),
    )

    app.post(
      '/v1/recover',
      {
        schema: {
          summary: 'Look at once whether Redis lost its records, and rebuild them from the journals of the hosts',
          response: { 200: Recovery, ...problems },
        },
      },
      async () => {
        await recovery.lookNow()
        return recovery.show()
      },
    )
  }

function throwUnlessUnavailable(error: Error): undefined {
  const isUnavailable = error instanceof ProvostError && error.code === 'queue_unavailable'
  if (!isUnavailable && !isRedisAway(error)) throw error
}
