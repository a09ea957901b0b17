import pLimit from 'p-limit'
import { ProvostError } from '#shared/errors.ts'
import type { AcceptDeps } from '../../operations/decision.ts'
import { retryOperation } from '../../operations/operate.ts'
import { changeWithoutEvent } from '../../records/batches/batch-changes.ts'
import { countInBatch } from '../../records/batches/batch-lists.ts'
import type { BatchRecord } from '../../records/batches/batch-record.ts'
import { assertLocked } from '../batch-lock.ts'
import { type Failure, failuresOf } from '../faults/find-causes.ts'
import type { LockedBatch } from './release-rows.ts'

const retriesAtOnce = 8

/** Retries at most `room` rows that had failed, of the wanted cause, when somebody asked for the retry. */
export async function retryRows(deps: AcceptDeps, batch: LockedBatch, room: number): Promise<void> {
  const slots = pLimit(retriesAtOnce)
  let left = room
  for await (const page of failuresOf(deps, batch.id)) {
    const wanted = page.filter((failure) => isWanted(failure, batch))
    while (wanted.length > 0) {
      if (left === 0) return
      const retried = await Promise.all(wanted.splice(0, left).map((failure) => slots(() => retryOne(deps, batch, failure))))
      left -= retried.filter(Boolean).length
    }
  }
  const done = [['HDEL', deps.keys.batch(batch.id), 'retryCause', 'retryBefore']]
  assertLocked(await deps.scripts.commit(changeWithoutEvent(batch.lock, done)), batch.id)
}

function isWanted({ cause, operation }: Failure, { retryCause, retryBefore = 0 }: BatchRecord): boolean {
  return (retryCause === '*' || cause === retryCause) && (operation === null || operation.epoch <= retryBefore)
}

/** Returns whether the row is retried: one that cannot be retried stays as it is. */
async function retryOne(deps: AcceptDeps, { id, lock }: LockedBatch, { operation, row }: Failure): Promise<boolean> {
  const { keys, scripts, log } = deps
  if (!operation) {
    const commands = [
      ['HDEL', keys.batchRefused(id), String(row)],
      ['ZADD', keys.batchDeferred(id), '0', String(row)],
      ...countInBatch(id, 'failed', 'queued', keys),
    ]
    assertLocked(await scripts.commit(changeWithoutEvent(lock, commands)), id)
    return true
  }
  try {
    await retryOperation(deps, operation.id)
    return true
  } catch (error) {
    if (!(error instanceof ProvostError) || error.code === 'queue_unavailable') throw error
    log.info({ err: error.message, operation: operation.id }, 'not retried')
    return false
  }
}
