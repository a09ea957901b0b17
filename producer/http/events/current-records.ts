import { batchList } from '../../records/batches/batch-lists.ts'
import { readBatch } from '../../records/batches/batch-record.ts'
import type { FeedEvent } from '../../records/event-feed.ts'
import { jailList } from '../../records/jails/jail-lists.ts'
import { toJail } from '../../records/jails/jail-record.ts'
import { pagesOf } from '../../records/lists.ts'
import { operationList } from '../../records/operations/operation-lists.ts'
import type { AppDeps } from '../app-deps.ts'
import { showBatch } from '../routes/batches.ts'
import { toHost } from '../routes/hosts.ts'

/** What an event tells: a record as HTTP shows it now. */
export type Told = { event: FeedEvent['kind']; data: object }

const pageSize = 200

/** Yields all hosts, batches, operations and jails. */
export async function* currentRecords(deps: AppDeps): AsyncGenerator<Told> {
  const { redis, keys, records, hosts, explain } = deps
  for (const host of hosts.all()) yield { event: 'host', data: toHost(host) }
  for await (const ids of pagesOf(redis, batchList('all', keys), pageSize))
    for (const id of ids) {
      const batch = await readBatch(deps, id)
      if (batch) yield { event: 'batch', data: await showBatch(deps, batch) }
    }
  for await (const ids of pagesOf(redis, operationList('all', keys), pageSize))
    for (const data of await explain(await records.operations(ids))) yield { event: 'operation', data }
  for await (const names of pagesOf(redis, jailList('all', keys), pageSize))
    for (const jail of await records.jails(names)) yield { event: 'jail', data: toJail(jail) }
}

/**
 * Returns the record that an event is about, as it is now.
 * @throws ProvostError `queue_unavailable` if it may only be gone because the records were lost.
 */
export async function recordOf(deps: AppDeps, { kind, id }: FeedEvent): Promise<object> {
  const record = await find(deps, kind, id)
  if (record) return record
  await deps.recovery.assertNotLost()
  return kind === 'jail' ? { name: id, removed: true } : { id, removed: true }
}

async function find(deps: AppDeps, kind: FeedEvent['kind'], id: string): Promise<object | undefined> {
  switch (kind) {
    case 'operation': {
      const operation = await deps.records.operation(id)
      return operation && (await deps.explain([operation]))[0]
    }
    case 'jail': {
      const jail = await deps.records.jail(id)
      return jail && toJail(jail)
    }
    case 'batch': {
      const batch = await readBatch(deps, id)
      return batch && showBatch(deps, batch)
    }
    case 'host': {
      const host = deps.hosts.get(id)
      return host && toHost(host)
    }
  }
}
