import type { RedisKeys } from '#shared/redis/keys.ts'
import type { Change, Unchanged } from '../change.ts'
import type { Store } from '../store.ts'
import { endedExpireSeconds } from './operation-changes.ts'

/** The field of the version before is written as well, so that its producers do not adopt what is being destroyed. */
const fields = ['operation', 'revision'] as const

/** Returns the operation that destroys the orphan of a provision, or null, and the condition that this stays so. */
export async function readCleaning(
  { redis, keys }: Pick<Store, 'redis' | 'keys'>,
  provision: string,
): Promise<{ operation: string | null; unchanged: Unchanged[] }> {
  const key = keys.cleaning(provision)
  const values = await redis.hmget(key, ...fields)
  return {
    operation: values.find((value) => value !== null) ?? null,
    unchanged: fields.map((field, i) => [key, field, values[i] ?? null]),
  }
}

/** The condition that no operation destroys the orphan of a provision. */
export function unlessCleaned(provision: string, keys: RedisKeys): Unchanged[] {
  return fields.map((field) => [keys.cleaning(provision), field, null])
}

/** Keeps an orphan from being adopted while an operation destroys it. */
export function noteCleaning(operation: string, provision: string, keys: RedisKeys): Pick<Change, 'commands'> {
  const key = keys.cleaning(provision)
  return {
    commands: [
      ['HSET', key, ...fields.flatMap((field) => [field, operation])],
      ['EXPIRE', key, String(endedExpireSeconds)],
    ],
  }
}
