import { hasEnded, OperationStatus } from '#shared/operation.ts'
import { pageOf } from '../records/lists.ts'
import { dropOperation } from '../records/operations/operation-changes.ts'
import { operationList } from '../records/operations/operation-lists.ts'
import { endedKeptMs, type OperationRecord } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'

const pageSize = 200

/** Takes out operations that ended long ago, with their places in the lists: a page at each call, round and round. */
export function makeDropExpired({ redis, keys, records, scripts }: Store): () => Promise<void> {
  let after: string | undefined

  /** Those without a record: one that this producer cannot read is another's to know. */
  async function missing(ids: string[]): Promise<string[]> {
    const exist = await Promise.all(ids.map((id) => redis.exists(keys.operation(id))))
    return ids.filter((_, i) => exist[i] === 0)
  }

  return async function dropExpired() {
    const ids = await pageOf(redis, operationList('all', keys), { after, count: pageSize })
    after = ids.length < pageSize ? undefined : ids.at(-1)
    const found = await records.operations(ids)
    for (const operation of found.filter(isOld)) await scripts.commit(dropOperation(operation, keys))

    const known = new Set(found.map(({ id }) => id))
    const gone = await missing(ids.filter((id) => !known.has(id)))
    if (gone.length === 0) return
    const lists = ['all' as const, ...OperationStatus.options.map((status) => ({ status }))]
    for (const list of lists) await redis.zrem(operationList(list, keys), ...gone)
  }
}

function isOld({ status, finishedAt }: OperationRecord): boolean {
  return hasEnded(status) && finishedAt !== null && Date.now() - Date.parse(finishedAt) > endedKeptMs
}
