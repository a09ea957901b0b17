import type { Redis } from 'ioredis'
import type { z } from 'zod'
import type { Drift, Leftover } from '#shared/host.ts'

type HostNotes<N extends { jail: string }> = {
  /** Reads what an earlier worker of this host has noted. */
  open(): Promise<void>
  entries(): Map<string, N>
  /** The entry is in `entries` once Redis has it: what failed is noted again. */
  note(entry: N): Promise<void>
  forget(jail: string): Promise<void>
  /** Writes all entries to a Redis that has lost them. */
  writeAgain(): Promise<void>
}
export type DriftNotes = HostNotes<Drift>
export type LeftoverNotes = HostNotes<Leftover>

/** Returns this host's notes on its jails, one for each name, kept for the producer in a hash of their own. */
export function makeHostNotes<N extends { jail: string }>(redis: Redis, key: string, schema: z.ZodType<N>): HostNotes<N> {
  const notes = new Map<string, N>()
  return {
    async open() {
      for (const [jail, text] of Object.entries(await redis.hgetall(key))) {
        const entry = schema.safeParse(parseJson(text))
        if (entry.success) notes.set(jail, entry.data)
        else await redis.hdel(key, jail)
      }
    },
    entries: () => notes,
    async note(entry) {
      await redis.hset(key, entry.jail, JSON.stringify(entry))
      notes.set(entry.jail, entry)
    },
    async forget(jail) {
      if (!notes.has(jail)) return
      await redis.hdel(key, jail)
      notes.delete(jail)
    },
    async writeAgain() {
      for (const entry of notes.values()) await redis.hset(key, entry.jail, JSON.stringify(entry))
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
