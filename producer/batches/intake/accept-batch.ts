import { v7 as uuid } from 'uuid'
import type { BatchOptions, FaultCause, RowFault } from '#shared/batch.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { AcceptDeps } from '../../operations/decision.ts'
import { writeBatch } from '../../records/batches/batch-changes.ts'
import { findBatch, type NewBatch, newBatch } from '../../records/batches/batch-record.ts'
import { merge } from '../../records/change.ts'
import { answeredBefore, type Idempotency, keyReused } from '../../records/operations/idempotency.ts'
import type { Store } from '../../records/store.ts'
import { type Faults, faultyRows, makeFaults } from '../faults/faults.ts'
import type { RawRow } from '../files/read-rows.ts'
import { claimNames, lostToAnother, returnNames } from '../rows/claim-names.ts'
import { openDryRun, type Placed } from './dry-run.ts'
import { openStage, type Stage } from './stage-rows.ts'
import { type BatchForm, validateRows } from './validate-rows.ts'

/** Accepts batches as a whole or not at all: rows are staged as they are read, and one step at the end makes them a batch. */

type AskedBatch = {
  form: BatchForm
  rows: AsyncIterable<RawRow>
  options: BatchOptions
  /** Whether faulty rows are left out, rather than the whole batch refused. */
  skipInvalid: boolean
}

/** The faults of rows that were left out: the first ones, and all by cause. Both are empty in a replay. */
type LeftOut = { skipped: RowFault[]; causes: FaultCause[] }
type AcceptedBatch = LeftOut & { batch: NewBatch; replayed: boolean }

/**
 * @param idempotencyOf called once everything is read, since it depends on all of the content.
 * @throws ProvostError `invalid_request` naming the faulty rows, `too_large`, `idempotency_key_reused`, `queue_unavailable`.
 */
export async function acceptBatch(
  deps: AcceptDeps,
  asked: AskedBatch,
  idempotencyOf: () => Idempotency | undefined,
): Promise<AcceptedBatch> {
  const id = uuid()
  const faults = makeFaults()
  const stage = await openStage(deps, id)
  let isAccepted = false
  try {
    await stageRows(deps, id, asked, stage, faults)
    const idempotency = idempotencyOf()
    const known = idempotency && (await answeredBefore(deps.redis, idempotency))
    if (known) return await replay(deps, known)
    if (isUnfit(asked, faults, stage.rows())) throw faultyRows(faults)
    const batch = newBatch(id, asked.options, { rows: stage.rows(), skipped: faults.rows() }, fleetTime())
    const before = await commit(deps, batch, idempotency)
    if (before) return await replay(deps, before)
    isAccepted = true
    return { batch, ...leftOut(faults), replayed: false }
  } finally {
    if (!isAccepted) await discard(deps, id, stage)
  }
}

/** Returns where the rows would go now. Writes nothing. @throws ProvostError as `acceptBatch`. */
export async function tryBatch(deps: AcceptDeps, asked: AskedBatch): Promise<Placed & LeftOut> {
  const faults = makeFaults()
  const dryRun = openDryRun(deps)
  for await (const page of validateRows(asked.rows, asked.form, deps.hosts.all(), faults)) {
    const named = await claimNames(deps, '', page, faults, true)
    if (faults.rows() === 0 || asked.skipInvalid) await dryRun.place(named)
  }
  if (isUnfit(asked, faults, dryRun.rows())) throw faultyRows(faults)
  return { ...(await dryRun.result(asked.options)), ...leftOut(faults) }
}

async function stageRows(
  deps: AcceptDeps,
  id: string,
  { form, rows, skipInvalid }: AskedBatch,
  stage: Stage,
  faults: Faults,
): Promise<void> {
  for await (const page of validateRows(rows, form, deps.hosts.all(), faults)) {
    const isRefused = faults.rows() > 0 && !skipInvalid
    const named = await claimNames(deps, id, page, faults, isRefused)
    if (!isRefused) await stage.add(named)
  }
  await stage.written()
}

/** Returns the id of the batch that another request under the same key has made meanwhile, if one has. */
async function commit(
  { keys, scripts, openFleet }: AcceptDeps,
  batch: NewBatch,
  idempotency: Idempotency | undefined,
): Promise<string | undefined> {
  const committed = await scripts.commit(
    merge(writeBatch(batch, keys), {
      idempotency: idempotency && { ...idempotency, operation: batch.id },
      unchanged: openFleet ? [[keys.fleet, 'id', openFleet()]] : [],
    }),
  )
  if (committed.type === 'done') return undefined
  if (committed.type === 'replayed') return committed.operation
  throw committed.type === 'reused' ? keyReused() : lostToAnother()
}

async function replay(store: Store, id: string): Promise<AcceptedBatch> {
  return { batch: await findBatch(store, id), skipped: [], causes: [], replayed: true }
}

const leftOut = (faults: Faults): LeftOut => ({ skipped: faults.shown, causes: faults.causes() })

/** What remains because Redis is away expires, or has no effect. */
async function discard(deps: AcceptDeps, id: string, stage: Stage): Promise<void> {
  const cleared = stage.remove().then((isRemoved) => (isRemoved ? returnNames(deps, id, stage.names()) : undefined))
  await cleared.catch((error) => deps.log.warn({ err: error.message, batch: id }, 'what was put aside of a batch is left'))
}

/** Whether there are faulty rows that may not be left out, or without which none is left. */
function isUnfit({ skipInvalid }: AskedBatch, faults: Faults, rowsLeft: number): boolean {
  return faults.rows() > 0 && (!skipInvalid || rowsLeft === 0)
}
