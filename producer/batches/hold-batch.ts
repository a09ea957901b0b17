import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { ProvostError } from '#shared/errors.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { CommitAnswer } from '../records/scripts.ts'

const holdsMs = 20_000
const againMs = 20
const take = `
  if redis.call('HSETNX', KEYS[1], 'revision', ARGV[1]) == 0 then return 0 end
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])`
const letGo = `if redis.call('HGET', KEYS[1], 'revision') == ARGV[1] then redis.call('DEL', KEYS[1]) end`

/** The lock of a batch as whoever holds it knows it: what is written for the batch requires that it is still so. */
export type Held = [lock: string, revision: string]

/** Does something with a batch while nobody else changes or releases it; undefined when somebody does. */
export async function holdBatch<T>(
  id: string,
  redis: Redis,
  keys: RedisKeys,
  work: (held: Held) => Promise<T>,
): Promise<T | undefined> {
  const [key, token] = [keys.batchLock(id), randomUUID()]
  if ((await redis.eval(take, 1, key, token, holdsMs)) === 0) return undefined
  try {
    return await work([key, token])
  } finally {
    await redis.eval(letGo, 1, key, token)
  }
}

/** @throws ProvostError `queue_unavailable` when what was to be written was not, as the batch is held by somebody else by now. */
export function assertHeld({ type }: CommitAnswer, batch: string): void {
  if (type !== 'done') throw new ProvostError('queue_unavailable', `Batch ${batch} was held for too long.`, { retryAfter: 1 })
}

/** The same, once whoever has it lets go. @throws ProvostError `queue_unavailable` when nobody does. */
export async function awaitBatch<T>(id: string, redis: Redis, keys: RedisKeys, work: (held: Held) => Promise<T>): Promise<T> {
  const deadlineMs = Date.now() + holdsMs
  for (;;) {
    const answer = await holdBatch(id, redis, keys, async (held) => ({ is: await work(held) }))
    if (answer) return answer.is
    if (Date.now() > deadlineMs)
      throw new ProvostError('queue_unavailable', `Batch ${id} is held by another request.`, { retryAfter: 1 })
    await sleep(againMs)
  }
}
