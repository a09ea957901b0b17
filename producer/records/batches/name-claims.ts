import type { Store } from '../store.ts'

/** Returns the batch that has claimed a name for one of its rows. A claim of a batch without a record is void. */
export async function claimerOf({ redis, keys }: Store, name: string): Promise<string | undefined> {
  const batch = await redis.hget(keys.claims, name)
  return batch !== null && (await redis.exists(keys.batch(batch))) === 1 ? batch : undefined
}
