import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { hasEnded } from '#shared/operation.ts'
import { findOperation } from '../../operations/accept.ts'
import { contentOf, noContent } from '../answers/content.ts'
import type { AppDeps } from '../app-deps.ts'
import { eventId } from '../events/event-id.ts'
import { streamFleet } from '../events/stream-fleet.ts'
import { streamOperation } from '../events/stream-operation.ts'
import { examples } from '../openapi/examples.ts'

const Params = z.object({ id: z.string().max(64) })

// `manual`: whatever the client accepts. No HEAD, as it would wait for the end of the stream.
const streams = { sse: 'manual', exposeHeadRoute: false } as const

/** Streams of Server-Sent Events. The `data` of each is the whole record as it is now, so one may cover several changes. */
export const eventRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/operations/:id/events',
      {
        ...streams,
        schema: {
          summary: 'Follow an operation until it has ended',
          params: Params,
          response: {
            200: contentOf('The whole operation as it is now, as the `data` of each event.', {
              'text/event-stream': examples.operationEvents,
            }),
            204: noContent('Its end was received already.'),
          },
        },
      },
      async ({ params }, reply) => {
        const hasSeenEnd = await deps.recovery.fromWhole(async (generation) => {
          const { status, revision } = await findOperation(deps, params.id)
          return hasEnded(status) && reply.sse.lastEventId === eventId(generation, revision)
        })
        if (hasSeenEnd) return reply.code(204).send()
        await streamOperation(deps, params.id, reply)
      },
    )

    app.get(
      '/v1/events',
      {
        ...streams,
        schema: {
          summary: 'Follow the whole fleet',
          response: {
            200: contentOf('A whole jail, operation, batch or host as it is now, as the `data` of each event of that name.', {
              'text/event-stream': examples.fleetEvents,
            }),
          },
        },
      },
      (_request, reply) => streamFleet(deps, reply),
    )
  }
