import type { Redis } from 'ioredis'
import type { z } from 'zod'
import type { Drift, Leftover } from '#shared/host.ts'

export type HostNotes<N extends { jail: string }> = {
  open(): Promise<void>
  entries(): Map<string, N>
  note(entry: N): Promise<void>
  forget(jail: string): Promise<void>
  writeAgain(): Promise<void>
}
export type DriftNotes = HostNotes<Drift>
export type LeftoverNotes = HostNotes<Leftover>

/** What this host has to say of its jails, by the jail's name, kept in a hash of its own for the producer. */
export function makeHostNotes<N extends { jail: string }>(redis: Redis, key: string, schema: z.ZodType<N>): HostNotes<N> {
  const notes = new Map<string, N>()
  return {
    /** Takes up what an earlier worker of this host has noted. */
    async open() {
      for (const [jail, text] of Object.entries(await redis.hgetall(key))) {
        const entry = schema.safeParse(parseJson(text))
        if (entry.success) notes.set(jail, entry.data)
        else await redis.hdel(key, jail)
      }
    },
    entries: () => notes,
    /** In `entries` once Redis has it: what failed is noted again. */
    async note(entry) {
      await redis.hset(key, entry.jail, JSON.stringify(entry))
      notes.set(entry.jail, entry)
    },
    async forget(jail) {
      if (!notes.has(jail)) return
      await redis.hdel(key, jail)
      notes.delete(jail)
    },
    /** Redis has lost them. */
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
