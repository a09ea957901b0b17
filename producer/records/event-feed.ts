import { EventEmitter } from 'node:events'
import type { Redis } from 'ioredis'
import type { Follow } from '#shared/process/repeat.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'

/** A change of a record. `sequence` rises over the whole fleet and is the record's revision. */
export type FeedEvent = { sequence: number; kind: 'operation' | 'jail' | 'host' | 'batch'; id: string }

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
  async function lastId(): Promise<string> {
    const [last] = (await redis.xrevrange(keys.events, '+', '-', 'COUNT', 1)) as Entry[]
    return last?.[0] ?? '0-0'
  }

  async function next(): Promise<void> {
    const answer = await reader.xread('COUNT', pageSize, 'BLOCK', blockMs, 'STREAMS', keys.events, position)
    // A Redis that came back without its data counts from 1 again.
    if (!answer && sequenceOf(await lastId()) < sequenceOf(position)) position = '0-0'
    for (const entry of answer?.[0]?.[1] ?? []) {
      position = entry[0]
      const event = parseEntry(entry)
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
    /** Returns the events after `sequence` that are still kept, oldest first. */
    async since(sequence: number): Promise<FeedEvent[]> {
      const events: FeedEvent[] = []
      for (;;) {
        const after = `(${events.at(-1)?.sequence ?? sequence}-0`
        const page = (await redis.xrange(keys.events, after, '+', 'COUNT', sinceAtOnce)) as Entry[]
        events.push(...page.map(parseEntry))
        if (page.length < sinceAtOnce) return events
      }
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

function parseEntry([id, fields]: Entry): FeedEvent {
  const field = (name: string) => fields[fields.indexOf(name) + 1] ?? ''
  return { sequence: sequenceOf(id), kind: field('kind') as FeedEvent['kind'], id: field('id') }
}

function sequenceOf(id: string): number {
  return Number(id.split('-')[0])
}
