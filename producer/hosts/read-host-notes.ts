import type { Redis } from 'ioredis'
import type { z } from 'zod'

/** Returns what a host notes of its jails in a hash, by the names of the jails; what cannot be read is left out. */
export async function readHostNotes<N extends { jail: string }>(redis: Redis, key: string, schema: z.ZodType<N>): Promise<N[]> {
  const notes = (await redis.hvals(key)).flatMap((text) => {
    try {
      return [schema.parse(JSON.parse(text))]
    } catch {
      return []
    }
  })
  return notes.sort((a, b) => (a.jail < b.jail ? -1 : 1))
}
