import { EventEmitter } from 'node:events'
import type { Redis } from 'ioredis'
import type { Follow } from '#shared/process/repeat.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { readFleetId } from '#shared/redis/record-facts.ts'

/**
 * A change of a record. `sequence` rises over the whole fleet and is the record's revision, both within a generation: the id of
 * the fleet, which is another one once Redis lost everything.
 */
export type FeedEvent = { generation: string; sequence: number; kind: 'operation' | 'jail' | 'host' | 'batch'; id: string }

type Deps = { /** A connection of its own: it blocks. */ reader: Redis; redis: Redis; keys: RedisKeys; follow: Follow }
type Entry = [id: string, fields: string[]]

export type EventFeed = Awaited<ReturnType<typeof openEventFeed>>

const blockMs = 2_000
const pageSize = 500
const sinceAtOnce = 10_000

/** Follows every change of a record in the fleet, whichever producer made it, as it happens. */
export async function openEventFeed({ reader, redis, keys, follow }: Deps) {
  const emitter = new EventEmitter<{ event: [FeedEvent]; [operation: `operation:${string}`]: [FeedEvent]; end: [] }>()
  emitter.setMaxListeners(0)
  let position = await lastId().catch(() => '0-0')
  let generation = (await readFleetId(redis, keys).catch(() => null)) ?? ''
  const generations = new Set([generation])
  async function lastId(): Promise<string> {
    const [last] = (await redis.xrevrange(keys.events, '+', '-', 'COUNT', 1)) as Entry[]
    return last?.[0] ?? '0-0'
  }

  /** Returns the sequence of the latest event. */
  const latest = async () => Number((await redis.get(keys.eventSequence)) ?? 0)

  async function next(): Promise<void> {
    const answer = await reader.xread('COUNT', pageSize, 'BLOCK', blockMs, 'STREAMS', keys.events, position)
    // A Redis that came back without its data counts from 1 again.
    if (!answer && sequenceOf(await lastId()) < sequenceOf(position)) position = '0-0'
    for (const entry of answer?.[0]?.[1] ?? []) {
      const event = parseEntry(entry, generation)
      const isNew = generation !== '' && !generations.has(event.generation)
      generation = event.generation
      generations.add(generation)
      if (isNew) {
        // It may have counted beyond this position already: what came before is read as well.
        position = '0-0'
        return
      }
      position = entry[0]
      emitter.emit('event', event)
      if (event.kind === 'operation') emitter.emit(`operation:${event.id}`, event)
    }
  }

  const following = follow('read-events', next)
  return {
    /** Calls `listener` for every event, or those of one operation, and `onEnd` after the last. Returns how to unsubscribe. */
    subscribe(listener: (event: FeedEvent) => unknown, onEnd: () => void, operation?: string): () => void {
      const name = operation === undefined ? 'event' : (`operation:${operation}` as const)
      emitter.on(name, listener).on('end', onEnd)
      return () => emitter.off(name, listener).off('end', onEnd)
    },
    latest,
    /** Returns all events after `sequence`, oldest first; undefined if some of them are not kept, or it is yet to come. */
    async since(sequence: number): Promise<FeedEvent[] | undefined> {
      const now = await latest()
      const events: FeedEvent[] = []
      for (;;) {
        const after = `(${events.at(-1)?.sequence ?? sequence}-0`
        const page = (await redis.xrange(keys.events, after, '+', 'COUNT', sinceAtOnce)) as Entry[]
        for (const entry of page) events.push(parseEntry(entry, generation))
        if (page.length < sinceAtOnce) break
      }
      const isWhole = sequence === now || (sequence < now && events[0]?.sequence === sequence + 1)
      return isWhole ? events : undefined
    },
    /** Tells all listeners that no more events will follow. */
    end: () => void emitter.emit('end'),
    name: following.name,
    stop(): unknown {
      const stopped = following.stop()
      reader.disconnect()
      return stopped
    },
  }
}

/** `generation`: that of the event before. An older producer writes none, nor does a Redis that has no fleet yet. */
function parseEntry([entry, fields]: Entry, generation: string): FeedEvent {
  // Not by a search for a name: a jail may be called as a field is.
  const pairs = fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1] ?? '']] : []))
  const { kind = '', id = '', fleet = '' }: Record<string, string> = Object.fromEntries(pairs)
  return { generation: fleet || generation, sequence: sequenceOf(entry), kind: kind as FeedEvent['kind'], id }
}

function sequenceOf(id: string): number {
  return Number(id.split('-')[0])
}
