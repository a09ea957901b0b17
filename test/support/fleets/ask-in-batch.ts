import { pino } from 'pino'
import { standardTiming } from '#shared/process/timing.ts'
import { connectRedis } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import { openHostRegistry } from '../../../producer/hosts/host-registry.ts'
import { makeOperate } from '../../../producer/operations/operate.ts'
import { makeEnqueue } from '../../../producer/queues/enqueue.ts'
import { makeRecords } from '../../../producer/records/records.ts'
import { makeScripts } from '../../../producer/records/scripts.ts'

/** Asks for jails as a batch does, beside the producer of a fleet. `close` when done. */
export async function openBatch({ url, prefix }: { url: string; prefix: string }) {
  const redis = connectRedis(url)
  const keys = redisKeys(prefix)
  const log = pino({ level: 'silent' })
  const hosts = await openHostRegistry({ redis, keys, log, members: [], timing: standardTiming, onChange: () => undefined })
  const { enqueue, close } = makeEnqueue(redis, keys)
  const operate = makeOperate({
    redis,
    keys,
    scripts: makeScripts(redis, keys),
    records: makeRecords(redis, keys),
    log,
    enqueue,
    hosts: hosts.all,
    notePromise: hosts.notePromise,
    placement: 'spread',
  })
  let row = 0
  return {
    ask: (name: string) =>
      operate.create({ name, client: 'acme', world: 'tiny' }, undefined, { batch: 'batch-of-a-test', row: row++ }),
    async close(): Promise<void> {
      hosts.close()
      await close()
      redis.disconnect()
    },
  }
}
