import type { Logger } from 'pino'
import { hasEnded } from '#shared/operation.ts'
import { askTime, fleetTimeMs, mostOffMs } from '#shared/redis/fleet-clock.ts'
import { pageOf } from '../records/lists.ts'
import { dropOperation } from '../records/operations/operation-changes.ts'
import { leaveAnyLists, operationList } from '../records/operations/operation-lists.ts'
import { endedKeptMs, type OperationRecord } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'

const pageSize = 200

/**
 * Returns a function that removes operations that ended long ago, also from lists: one page at each call, round and round. It goes by
 * the time of Redis, and removes nothing while this computer has quite another: one of the two is wrong.
 */
export function makeDropExpired({ redis, keys, records, scripts, log }: Store & { log: Logger }): () => Promise<void> {
  let after: string | undefined

  /** Returns the ids without a record. A record that this producer cannot parse stays, as another one may know it. */
  async function missing(ids: string[]): Promise<string[]> {
    const exist = await Promise.all(ids.map((id) => redis.exists(keys.operation(id))))
    return ids.filter((_, i) => exist[i] === 0)
  }

  return async function dropExpired() {
    const offMs = await askTime(redis)
    if (Math.abs(offMs) > mostOffMs)
      return log.error({ clockOffsetMs: offMs }, 'nothing is removed for its age: this clock and that of Redis differ')
    const ids = await pageOf(redis, operationList('all', keys), { after, count: pageSize })
    after = ids.length < pageSize ? undefined : ids.at(-1)
    const operations = await records.operations(ids)
    for (const operation of operations.filter(isOld)) await scripts.commit(dropOperation(operation, keys))

    const known = new Set(operations.map(({ id }) => id))
    const gone = await missing(ids.filter((id) => !known.has(id)))
    if (gone.length === 0) return
    await scripts.commit({ unchanged: [], commands: gone.flatMap((id) => leaveAnyLists(id, keys)), events: [] })
  }
}

function isOld({ status, finishedAt }: OperationRecord): boolean {
  return hasEnded(status) && finishedAt !== null && fleetTimeMs() - Date.parse(finishedAt) > endedKeptMs
}
