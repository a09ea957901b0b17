import { pino } from 'pino'
import { repeat } from '#shared/process/repeat.ts'
import { standardTiming } from '#shared/process/timing.ts'
import { connectRedis } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import { openHostRegistry } from '../../../producer/hosts/host-registry.ts'
import { createJail } from '../../../producer/operations/operate.ts'
import { openQueues } from '../../../producer/queues/enqueue.ts'
import { openStore } from '../../../producer/records/store.ts'

/** Asks for jails as a batch does, beside the producer of a fleet. `close` when done. */
export async function openBatch({ url, prefix }: { url: string; prefix: string }) {
  const redis = connectRedis(url)
  const store = openStore(redis, redisKeys(prefix))
  const log = pino({ level: 'silent' })
  const hosts = await openHostRegistry({ ...store, log, repeat, members: [], timing: standardTiming, onChange: () => undefined })
  const queues = openQueues(store)
  const deps = { ...store, log, enqueue: queues.enqueue, hosts, placement: 'spread' } as const
  let row = 0
  return {
    ask: (name: string) =>
      createJail(deps, { name, client: 'acme', world: 'tiny' }, undefined, { batch: { id: 'batch-of-a-test', row: row++ } }),
    async close(): Promise<void> {
      await hosts.stop()
      await queues.stop()
      redis.disconnect()
    },
  }
}
