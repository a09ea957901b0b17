import type { FastifyReply } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { ProvostError } from '#shared/errors.ts'
import { hasEnded } from '#shared/operation.ts'
import { readBatch } from '../../records/batches/batch-record.ts'
import type { FeedEvent } from '../../records/event-feed.ts'
import { toJail } from '../../records/jails/jail-record.ts'
import type { AppDeps } from '../app-deps.ts'
import { showBatch } from './batches.ts'
import { toHost } from './hosts.ts'

const Params = z.object({ id: z.string().max(64) })

/** How often it is looked whether a place in a queue has changed, which changes no record. */
const lookAgainMs = 2_000

// Whatever the client says it accepts; and no HEAD, which would wait for the end of the stream.
const streams = { sse: 'manual', exposeHeadRoute: false } as const

/** Server-Sent Events. Each one's `data` is the whole record as it is now, so several changes may come as one. */
export const eventRoutes =
  (deps: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    const { records, feed, hosts, explain } = deps

    app.get(
      '/v1/operations/:id/events',
      { ...streams, schema: { summary: 'Follow an operation until it has ended', params: Params } },
      async ({ params: { id } }, reply) => {
        const operation = await records.operation(id)
        if (!operation) throw new ProvostError('not_found', `There is no operation ${id}.`)
        let seen = lastSeen(reply)
        let waitedFor: string | undefined
        if (hasEnded(operation.status) && Number(operation.revision) <= seen) return reply.code(204).send()

        const { promise: closed, resolve: close } = Promise.withResolvers<void>()
        const pump = makePump(async () => {
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
        }, close)
        const unsubscribe = feed.subscribe(pump, close, id)
        const timer = setInterval(pump, lookAgainMs)
        reply.sse.onClose(close)
        startStream(reply)
        pump()
        await closed
        clearInterval(timer)
        unsubscribe()
      },
    )

    app.get('/v1/events', { ...streams, schema: { summary: 'Follow the whole fleet' } }, async (_request, reply) => {
      const { promise: closed, resolve: close } = Promise.withResolvers<void>()
      const waiting = new Map<string, FeedEvent>()
      const keep = (event: FeedEvent) => {
        const name = `${event.kind}/${event.id}`
        waiting.delete(name)
        waiting.set(name, event)
      }
      const pump = makePump(async () => {
        for (const [name, event] of waiting) {
          waiting.delete(name)
          await reply.sse.send({ id: String(event.sequence), event: event.kind, data: await dataOf(event) })
        }
      }, close)
      // What comes while the missed ones are read stands behind them.
      const early: FeedEvent[] = []
      let take = (event: FeedEvent): void => void early.push(event)
      const unsubscribe = feed.subscribe((event) => take(event), close)
      try {
        reply.sse.onClose(close)
        const seen = lastSeen(reply)
        const missed = seen >= 0 ? await feed.since(seen) : []
        const through = missed.at(-1)?.sequence ?? seen
        missed.forEach(keep)
        take = (event) => {
          if (event.sequence <= through) return
          keep(event)
          pump()
        }
        early.forEach(take)
        startStream(reply)
        pump()
        await closed
      } finally {
        unsubscribe()
      }
    })

    async function dataOf({ kind, id }: FeedEvent): Promise<object> {
      if (kind === 'operation') {
        const operation = await records.operation(id)
        const [shown] = operation ? await explain([operation]) : []
        return shown ?? { id, removed: true }
      }
      if (kind === 'jail') {
        const jail = await records.jail(id)
        return jail ? toJail(jail) : { name: id, removed: true }
      }
      if (kind === 'batch') {
        const batch = await readBatch(deps, id)
        return batch ? showBatch(deps, batch) : { id, removed: true }
      }
      const host = hosts.get(id)
      return host ? toHost(host) : { id, removed: true }
    }
  }

/** At once, and not with the first event: a reader waits for the headers. */
function startStream(reply: FastifyReply): void {
  reply.sse.sendHeaders()
  reply.raw.flushHeaders()
}

function lastSeen(reply: FastifyReply): number {
  const id = reply.sse.lastEventId
  return id !== null && /^\d{1,15}$/.test(id) ? Number(id) : -1
}

/** Runs `work` once at a time; calls that come meanwhile make it run once more. */
function makePump(work: () => Promise<void>, onFault: () => void): () => void {
  let running = false
  let again = false
  return async function pump() {
    again = true
    if (running) return
    running = true
    try {
      while (again) {
        again = false
        await work()
      }
    } catch {
      onFault()
    } finally {
      running = false
    }
  }
}
