import pLimit from 'p-limit'
import { ProvostError } from '#shared/errors.ts'
import { hasEnded } from '#shared/operation.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { AcceptDeps } from '../operations/decision.ts'
import { cancelOperation } from '../operations/operate.ts'
import { changeBatch } from '../records/batches/batch-changes.ts'
import { countInBatch, openBatch } from '../records/batches/batch-lists.ts'
import { type BatchRecord, countWaiting, findBatch } from '../records/batches/batch-record.ts'
import type { Facts } from '../records/fields.ts'
import { pagesOf } from '../records/lists.ts'
import { operationList } from '../records/operations/operation-lists.ts'
import type { Store } from '../records/store.ts'
import { assertLocked, awaitBatchLock } from './batch-lock.ts'
import { findCauses } from './faults/find-causes.ts'
import { returnAllNames } from './rows/claim-names.ts'

/** What a person may request for an accepted batch. Every request may be repeated. */

const pageSize = 1_000
const cancelsAtOnce = 8

/** A batch, and whether the request has changed anything. */
export type Changed = { batch: BatchRecord; changed: boolean }
type Wanted = { facts: Facts<BatchRecord>; more?: string[][] }

/** Releases no further rows; open operations go on. @throws ProvostError `not_found`. */
export function pauseBatch(store: Store, id: string): Promise<Changed> {
  return change(store, id, async ({ status }) =>
    status === 'running' ? { facts: { status: 'paused', reason: 'somebody paused it' } } : undefined,
  )
}

/** Goes on, also after the batch has paused by itself, whatever made it pause. @throws ProvostError `not_found`. */
export function resumeBatch(store: Store, id: string): Promise<Changed> {
  return change(store, id, async ({ status, succeeded, failed }) => {
    if (status !== 'paused') return undefined
    const from = { resumedAt: fleetTime().toISOString(), endedBefore: succeeded + failed, failedBefore: failed }
    return { facts: { status: 'running', canaryPassed: '1', ...from, reason: undefined } }
  })
}

/** Releases no further rows; open operations are finished, or cancelled as well. @throws ProvostError `not_found`. */
export async function cancelBatch(deps: AcceptDeps, id: string, running: 'finish' | 'cancel'): Promise<Changed> {
  const { keys } = deps
  const cancelled = await change(deps, id, async (batch) => {
    if (batch.finishedAt !== null) return undefined
    const waiting = await countWaiting(deps, batch)
    const nothing = { reason: undefined, retryCause: undefined, retryBefore: undefined }
    const more = [['DEL', keys.batchDeferred(id)], ...countInBatch(id, 'queued', 'cancelled', keys, waiting)]
    return { facts: { status: 'cancelled', cursor: batch.rows, ...nothing }, more }
  })
  if (cancelled.batch.status !== 'cancelled') return cancelled
  await returnAllNames(deps, cancelled.batch)
  if (running === 'cancel') await cancelOperations(deps, id)
  return { ...cancelled, batch: await findBatch(deps, id) }
}

/** Retries all rows that failed so far, or those of one cause. @throws ProvostError `not_found`, also for an unknown cause. */
export async function retryBatch(store: Store, id: string, cause?: string): Promise<Changed> {
  const { redis, keys } = store
  await findBatch(store, id)
  if (cause !== undefined && !(await findCauses(store, id)).some((known) => known.id === cause))
    throw new ProvostError('not_found', `Batch ${id} has no failures of cause ${cause}.`)
  return change(store, id, async ({ status, finishedAt, failed }) => {
    if (failed === 0) return undefined
    const wanted = { retryCause: cause ?? '*', retryBefore: Number(await redis.get(keys.epoch)) }
    const again = { finishedAt: null, status: status === 'cancelled' ? status : ('running' as const) }
    return { facts: { ...wanted, ...(finishedAt === null ? {} : again) }, more: openBatch(id, keys) }
  })
}

/** Changes a batch under its lock: a change while rows are released or its end is decided would be overwritten. */
async function change(store: Store, id: string, decide: (batch: BatchRecord) => Promise<Wanted | undefined>): Promise<Changed> {
  await findBatch(store, id)
  return awaitBatchLock(store, id, async (lock) => {
    const batch = await findBatch(store, id)
    const wanted = await decide(batch)
    if (!wanted) return { batch, changed: false }
    assertLocked(await store.scripts.commit(changeBatch(id, lock, wanted.facts, store.keys, wanted.more)), id)
    return { batch: await findBatch(store, id), changed: true }
  })
}

async function cancelOperations(deps: AcceptDeps, id: string): Promise<void> {
  const slots = pLimit(cancelsAtOnce)
  for await (const ids of pagesOf(deps.redis, operationList({ batch: id }, deps.keys), pageSize)) {
    const open = (await deps.records.operations(ids)).filter(({ status }) => !hasEnded(status))
    await Promise.all(open.map((each) => slots(() => cancelOperation(deps, each.id).catch(ignoreRefusal))))
  }
}

/** An operation that can no longer be cancelled ends by itself. Rethrows any other error. */
function ignoreRefusal(error: unknown): void {
  if (!(error instanceof ProvostError) || error.code === 'queue_unavailable') throw error
}
