import type { Redis } from 'ioredis'
import type { z } from 'zod'

/** Returns a host's notes about its jails from a hash, ordered by the names of the jails. Leaves out what cannot be parsed. */
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
