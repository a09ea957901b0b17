import { onTestFinished } from 'vitest'
import { connectRedis } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import { openStore, type Store } from '../../../producer/records/store.ts'
import { testSecrets } from '../fleets/test-producer.ts'
import type { TestRedis } from './redis-test.ts'

/** The store of a test's fleet over a connection of its own, which is closed when the test is over. */
export function storeOf({ url, prefix }: TestRedis): Store {
  const redis = connectRedis(url)
  onTestFinished(() => redis.disconnect())
  return openStore(redis, redisKeys(prefix), undefined, testSecrets)
}
