import { createJail } from '../../../producer/operations/operate.ts'
import { openQueues } from '../../../producer/queues/enqueue.ts'
import { storeOf } from '../redis/open-store.ts'
import type { TestRedis } from '../redis/redis-test.ts'
import { log, openTestRegistry } from './test-producer.ts'

/** Asks for jails as a batch does, beside the producer of a fleet. `close` when done. */
export async function openBatch(redis: TestRedis) {
  const store = storeOf(redis)
  const hosts = await openTestRegistry(store)
  const queues = openQueues(store)
  const deps = { ...store, log, enqueue: queues.enqueue, hosts, placement: 'spread' } as const
  let row = 0
  return {
    ask: (name: string) =>
      createJail(deps, { name, client: 'acme', world: 'tiny' }, undefined, { batch: { id: 'batch-of-a-test', row: row++ } }),
    async close(): Promise<void> {
      await hosts.stop()
      await queues.stop()
    },
  }
}
