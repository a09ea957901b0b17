import type { Redis } from 'ioredis'
import { hasEnded } from '#shared/operation.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { endedKeptMs, type OperationRecord, type Records } from '../records/records.ts'
import type { Scripts } from '../records/scripts.ts'

type Deps = { redis: Redis; keys: RedisKeys; records: Records; scripts: Scripts }

const pageSize = 200
const statuses = ['queued', 'running', 'succeeded', 'failed', 'cancelled'] as const

/** Takes out operations that ended long ago, with their places in the lists: a page at each call, round and round. */
export function makeDropExpired({ redis, keys, records, scripts }: Deps): () => Promise<void> {
  let after: string | undefined
  return async function dropExpired() {
    const from = after === undefined ? '-' : `(${after}`
    const ids = await redis.zrangebylex(keys.operations(), from, '+', 'LIMIT', 0, pageSize)
    after = ids.length < pageSize ? undefined : ids.at(-1)
    const found = await records.operations(ids)
    for (const operation of found.filter(isOld)) await drop(operation)

    const known = new Set(found.map(({ id }) => id))
    const gone = await missing(ids.filter((id) => !known.has(id)))
    if (gone.length === 0) return
    await redis.zrem(keys.operations(), ...gone)
    for (const status of statuses) await redis.zrem(keys.operations('status', status), ...gone)
  }

  /** Those without a record: one that this producer cannot read is another's to know. */
  async function missing(ids: string[]): Promise<string[]> {
    const exist = await Promise.all(ids.map((id) => redis.exists(keys.operation(id))))
    return ids.filter((_, i) => exist[i] === 0)
  }

  async function drop({ id, jail, batch, status, revision }: OperationRecord): Promise<void> {
    const lists = [
      keys.operations(),
      keys.operations('status', status),
      ...(jail === null ? [] : [keys.operations('jail', jail)]),
      ...(batch === undefined ? [] : [keys.operations('batch', batch)]),
    ]
    await scripts.commit({
      unchanged: [[keys.operation(id), revision]],
      commands: [['DEL', keys.operation(id)], ...lists.map((list) => ['ZREM', list, id])],
      events: [],
    })
  }
}

function isOld({ status, finishedAt }: OperationRecord): boolean {
  return hasEnded(status) && finishedAt !== null && Date.now() - Date.parse(finishedAt) > endedKeptMs
}
