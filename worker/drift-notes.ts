import type { Redis } from 'ioredis'
import { Drift } from '#shared/host.ts'

export type DriftNotes = ReturnType<typeof makeDriftNotes>

/** What this host has otherwise than the records say, by the jail's name, kept in a hash of its own for the producer. */
export function makeDriftNotes(redis: Redis, key: string) {
  const notes = new Map<string, Drift>()
  return {
    /** Takes up what an earlier worker of this host has noted. */
    async open(): Promise<void> {
      for (const [jail, text] of Object.entries(await redis.hgetall(key))) {
        const entry = Drift.safeParse(parseJson(text))
        if (entry.success) notes.set(jail, entry.data)
        else await redis.hdel(key, jail)
      }
    },
    entries: (): Map<string, Drift> => notes,
    /** In `entries` once Redis has it: what failed is noted again. */
    async note(entry: Drift): Promise<void> {
      await redis.hset(key, entry.jail, JSON.stringify(entry))
      notes.set(entry.jail, entry)
    },
    async forget(jail: string): Promise<void> {
      if (!notes.has(jail)) return
      await redis.hdel(key, jail)
      notes.delete(jail)
    },
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
