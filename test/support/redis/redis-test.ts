import { randomBytes } from 'node:crypto'
import { test as base, inject } from 'vitest'
import { connectRedis } from '#shared/redis/connect-redis.ts'

/** A real Redis and a key prefix that only this test has; its keys are removed afterwards. */
export type TestRedis = { url: string; prefix: string }

/** `test` with a `redis` of its own. Skipped if there is no Redis. */
export const test = base.extend<{ redis: TestRedis }>({
  redis: async ({ skip }, use) => {
    const url = inject('redisUrl')
    skip(!url, 'no Redis here')
    const prefix = freshPrefix()
    await use({ url, prefix })
    await removeKeys(url, prefix)
  },
})

/** For suites that share one prefix. In braces: one hash tag, so that all keys are in one slot of a cluster. */
export function freshPrefix(): string {
  return `{provost-test-${randomBytes(6).toString('hex')}}`
}

export async function removeKeys(url: string, prefix: string): Promise<void> {
  const connection = connectRedis(url)
  for await (const keys of connection.scanStream({ match: `${prefix}:*`, count: 1_000 })) {
    if (keys.length > 0) await connection.unlink(...keys)
  }
  connection.disconnect()
}
