import type { FastifyReply } from 'fastify'
import { hasEnded } from '#shared/operation.ts'
import { repeat } from '#shared/process/repeat.ts'
import type { AppDeps } from '../app-deps.ts'
import { eventId } from './event-id.ts'
import { sendEvent } from './send-event.ts'
import { startStream } from './start-stream.ts'

/** How often positions in queues are looked up, as their changes make no events. */
const lookAgainMs = 2_000

/** Streams an operation until it has ended. Also ends when it is gone, or the records are lost: the client asks again. */
export async function streamOperation(
  { recovery, records, feed, explain }: AppDeps,
  id: string,
  reply: FastifyReply,
): Promise<void> {
  const { promise: closed, resolve: close } = Promise.withResolvers<void>()
  let seen = reply.sse.lastEventId
  let waitedFor: string | undefined

  const read = (generation: string) =>
    records.operation(id).then(async (operation) => {
      const [shown] = operation ? await explain([operation]) : []
      return operation && shown && { shown, id: eventId(generation, operation.revision) }
    })

  async function sendNow(): Promise<void> {
    const now = await recovery.fromWhole(read)
    if (!now) return close()
    const waiting = JSON.stringify(now.shown.waiting)
    if (now.id !== seen) {
      seen = now.id
      await sendEvent(reply, { id: now.id, event: 'operation', data: now.shown })
    } else if (waiting !== waitedFor) await sendEvent(reply, { event: 'operation', data: now.shown })
    waitedFor = waiting
    if (hasEnded(now.shown.status)) close()
  }

  const sending = repeat('send-operation', lookAgainMs, sendNow, ({ error }) => error && close())
  const unsubscribe = feed.subscribe(sending.now, close, id)
  try {
    reply.sse.onClose(close)
    startStream(reply)
    void sending.now()
    await closed
  } finally {
    unsubscribe()
    void sending.stop()
  }
}
