import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import type { AppDeps } from '../app.ts'

export const metricsRoutes =
  ({ metrics }: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    app.get('/metrics', { schema: { summary: 'The fleet in numbers, for Prometheus' } }, async (_request, reply) =>
      reply.type(metrics.contentType).send(await metrics.text()),
    )
  }
