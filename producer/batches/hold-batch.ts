import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { ProvostError } from '#shared/errors.ts'
import type { RedisKeys } from '#shared/keys.ts'

const holdsMs = 20_000
const againMs = 20
const letGo = `if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end`

/** Does something with a batch while nobody else releases or takes back rows of it; undefined when somebody does. */
export async function holdBatch<T>(id: string, redis: Redis, keys: RedisKeys, work: () => Promise<T>): Promise<T | undefined> {
  const [key, token] = [keys.batchLock(id), randomUUID()]
  if ((await redis.set(key, token, 'PX', holdsMs, 'NX')) === null) return undefined
  try {
    return await work()
  } finally {
    await redis.eval(letGo, 1, key, token)
  }
}

/** The same, once whoever has it lets go. @throws ProvostError `queue_unavailable` when nobody does. */
export async function awaitBatch<T>(id: string, redis: Redis, keys: RedisKeys, work: () => Promise<T>): Promise<T> {
  const deadlineMs = Date.now() + holdsMs
  for (;;) {
    const answer = await holdBatch(id, redis, keys, async () => ({ is: await work() }))
    if (answer) return answer.is
    if (Date.now() > deadlineMs)
      throw new ProvostError('queue_unavailable', `Batch ${id} is held by another request.`, { retryAfter: 1 })
    await sleep(againMs)
  }
}
