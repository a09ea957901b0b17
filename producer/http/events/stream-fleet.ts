import type { FastifyReply } from 'fastify'
import { repeat } from '#shared/process/repeat.ts'
import type { FeedEvent } from '../../records/event-feed.ts'
import type { AppDeps } from '../app-deps.ts'
import { currentRecords, recordOf, type Told } from './current-records.ts'
import { eventId, readEventId } from './event-id.ts'
import { sendEvent } from './send-event.ts'
import { startStream } from './start-stream.ts'

const sendAgainMs = 2_000

/**
 * Streams every change of a record. A client that names its last event is first sent what it has missed or, if that is not
 * known, all records. Ends when the records are lost: the client asks again.
 */
export async function streamFleet(deps: AppDeps, reply: FastifyReply): Promise<void> {
  const generation = deps.recovery.openFleet()
  const { promise: closed, resolve: close } = Promise.withResolvers<void>()
  /** Its last change, by record, that is not sent yet. */
  const waiting: Changes = new Map()
  const keep = (event: FeedEvent) => note(waiting, event)

  async function sendWaiting(): Promise<void> {
    for (const [name, event] of waiting) {
      waiting.delete(name)
      await sendEvent(reply, { id: eventId(generation, event.sequence), event: event.kind, data: await recordOf(deps, event) })
    }
  }

  const sending = repeat('send-events', sendAgainMs, sendWaiting, ({ error }) => error && close())
  // Events that arrive while missed ones are read come after those.
  const early: Changes = new Map()
  let take = (event: FeedEvent): void => note(early, event)
  const unsubscribe = deps.feed.subscribe((event) => take(event), close)
  try {
    reply.sse.onClose(close)
    const through = await sendMissed(deps, generation, reply, keep)
    take = (event) => {
      if (event.generation !== generation) return close()
      if (event.sequence <= through) return
      keep(event)
      void sending.now()
    }
    for (const event of early.values()) take(event)
    startStream(reply)
    void sending.now()
    await closed
  } catch (error) {
    if (!reply.raw.headersSent) throw error
  } finally {
    unsubscribe()
    void sending.stop()
  }
}

/** By record, its last change, in the order of these: however long a client takes to read, it is no more than there are records. */
type Changes = Map<string, FeedEvent>

function note(changes: Changes, event: FeedEvent): void {
  const name = `${event.kind}/${event.id}`
  changes.delete(name)
  changes.set(name, event)
}

/** Keeps or sends what a client has missed, if it names its last event. Returns the sequence up to which it then has all. */
async function sendMissed(
  { feed, ...deps }: AppDeps,
  generation: string,
  reply: FastifyReply,
  keep: (event: FeedEvent) => void,
): Promise<number> {
  const last = reply.sse.lastEventId
  if (last === null) return -1
  const seen = readEventId(last)
  const missed = seen.generation === generation ? await feed.since(seen.sequence) : undefined
  if (missed) {
    missed.forEach(keep)
    return missed.at(-1)?.sequence ?? seen.sequence
  }
  const through = await feed.latest()
  startStream(reply)
  let told: Told | undefined
  for await (const next of currentRecords({ feed, ...deps })) {
    if (told) await sendEvent(reply, told)
    told = next
  }
  await deps.recovery.assertNotLost()
  // Only the last one has an id: a client that did not get all of them is sent them again.
  if (told) await sendEvent(reply, { ...told, id: eventId(generation, through) })
  return through
}
