import type { FastifyReply } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { hasEnded } from '#shared/operation.ts'
import { repeat } from '#shared/process/repeat.ts'
import { findOperation } from '../../operations/accept.ts'
import { readBatch } from '../../records/batches/batch-record.ts'
import type { FeedEvent } from '../../records/event-feed.ts'
import { toJail } from '../../records/jails/jail-record.ts'
import type { AppDeps } from '../app-deps.ts'
import { contentOf, noContent } from '../content.ts'
import { examples } from '../openapi/examples.ts'
import { showBatch } from './batches.ts'
import { toHost } from './hosts.ts'

const Params = z.object({ id: z.string().max(64) })

/** How often positions in queues are looked up, as their changes make no events. */
const lookAgainMs = 2_000

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
        const operation = await findOperation(deps, params.id)
        if (hasEnded(operation.status) && Number(operation.revision) <= lastSeen(reply)) return reply.code(204).send()
        await followOperation(deps, params.id, reply)
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
      (_request, reply) => followFleet(deps, reply),
    )
  }

async function followOperation({ records, feed, explain }: AppDeps, id: string, reply: FastifyReply): Promise<void> {
  const { promise: closed, resolve: close } = Promise.withResolvers<void>()
  let seen = lastSeen(reply)
  let waitedFor: string | undefined

  async function sendNow(): Promise<void> {
    const now = await records.operation(id)
    if (!now) return close()
    const [shown] = await explain([now])
    const waiting = JSON.stringify(shown?.waiting)
    if (Number(now.revision) > seen) {
      seen = Number(now.revision)
      await reply.sse.send({ id: now.revision, event: 'operation', data: shown })
    } else if (waiting !== waitedFor) await reply.sse.send({ event: 'operation', data: shown })
    waitedFor = waiting
    if (hasEnded(now.status)) close()
  }

  const sending = repeat('send-operation', lookAgainMs, sendNow, ({ error }) => error && close())
  const unsubscribe = feed.subscribe(sending.now, close, id)
  reply.sse.onClose(close)
  startStream(reply)
  void sending.now()
  await closed
  unsubscribe()
  void sending.stop()
}

async function followFleet(deps: AppDeps, reply: FastifyReply): Promise<void> {
  const { promise: closed, resolve: close } = Promise.withResolvers<void>()
  /** By record, its last change that is not sent yet. */
  const waiting = new Map<string, FeedEvent>()
  const keep = (event: FeedEvent) => {
    const name = `${event.kind}/${event.id}`
    waiting.delete(name)
    waiting.set(name, event)
  }

  async function sendWaiting(): Promise<void> {
    for (const [name, event] of waiting) {
      waiting.delete(name)
      await reply.sse.send({ id: String(event.sequence), event: event.kind, data: await recordOf(deps, event) })
    }
  }

  const sending = repeat('send-events', lookAgainMs, sendWaiting, ({ error }) => error && close())
  // Events that arrive while missed ones are read come after those.
  const early: FeedEvent[] = []
  let take = (event: FeedEvent): void => void early.push(event)
  const unsubscribe = deps.feed.subscribe((event) => take(event), close)
  try {
    reply.sse.onClose(close)
    const seen = lastSeen(reply)
    const missed = seen >= 0 ? await deps.feed.since(seen) : []
    const through = missed.at(-1)?.sequence ?? seen
    missed.forEach(keep)
    take = (event) => {
      if (event.sequence <= through) return
      keep(event)
      void sending.now()
    }
    early.forEach(take)
    startStream(reply)
    void sending.now()
    await closed
  } finally {
    unsubscribe()
    void sending.stop()
  }
}

/** Returns the record that an event is about, as HTTP shows it now. */
async function recordOf(deps: AppDeps, { kind, id }: FeedEvent): Promise<object> {
  const { records, explain, hosts } = deps
  switch (kind) {
    case 'operation': {
      const operation = await records.operation(id)
      const [shown] = operation ? await explain([operation]) : []
      return shown ?? { id, removed: true }
    }
    case 'jail': {
      const jail = await records.jail(id)
      return jail ? toJail(jail) : { name: id, removed: true }
    }
    case 'batch': {
      const batch = await readBatch(deps, id)
      return batch ? showBatch(deps, batch) : { id, removed: true }
    }
    case 'host': {
      const host = hosts.get(id)
      return host ? toHost(host) : { id, removed: true }
    }
  }
}

/** Sends the headers at once, not with the first event, since clients wait for them. */
function startStream(reply: FastifyReply): void {
  reply.sse.sendHeaders()
  reply.raw.flushHeaders()
}

function lastSeen(reply: FastifyReply): number {
  const id = reply.sse.lastEventId
  return id !== null && /^\d{1,15}$/.test(id) ? Number(id) : -1
}
