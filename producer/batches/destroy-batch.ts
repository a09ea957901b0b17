import { v7 as uuid } from 'uuid'
import type { BatchOptions, DryRunOfDestroy } from '#shared/batch.ts'
import { ProvostError } from '#shared/errors.ts'
import { PlainName } from '#shared/jail.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { AcceptDeps } from '../operations/decision.ts'
import { writeBatch } from '../records/batches/batch-changes.ts'
import { type BatchRecord, findBatch, type NewBatch, newBatch, readBatch } from '../records/batches/batch-record.ts'
import { jailOfRow, readRowPage } from '../records/batches/batch-row.ts'
import { merge } from '../records/change.ts'
import type { JailRecord } from '../records/jails/jail-record.ts'
import { answeredBefore, type Idempotency, keyReused } from '../records/operations/idempotency.ts'
import type { Store } from '../records/store.ts'
import { shownAtMost } from './faults/faults.ts'
import { openStage } from './intake/stage-rows.ts'

/**
 * What a batch has made is destroyed by another batch, one row for each jail: so it is released as hosts have room, and can be
 * paused, retried and reported like any batch.
 */

const pageSize = 500

type Destroying = { batch: NewBatch | BatchRecord; replayed: boolean }

/**
 * Accepts the batch that destroys all jails that a batch has made; while there is one that has not ended, returns that.
 * @throws ProvostError `not_found`, `batch_open`, `idempotency_key_reused`, `queue_unavailable`.
 */
export async function destroyBatch(
  deps: AcceptDeps,
  source: string,
  options: BatchOptions,
  idempotency: Idempotency | undefined,
): Promise<Destroying> {
  const known = idempotency && (await answeredBefore(deps.redis, idempotency))
  if (known) return { batch: await findBatch(deps, known), replayed: true }
  const made = await findEnded(deps, source)
  const open = made.destroyedBy === undefined ? undefined : await readBatch(deps, made.destroyedBy)
  if (open && open.finishedAt === null) return { batch: open, replayed: true }

  const id = uuid()
  const stage = await openStage(deps, id)
  let isAccepted = false
  try {
    for await (const { jails } of pagesOfMade(deps, made))
      await stage.add(
        jails.map(({ line, jail: { name, client, world, provision } }) => ({
          line,
          destroy: { name, client, world, provision },
        })),
      )
    await stage.written()
    const name = options.name ?? PlainName.safeParse(`destroy-${made.name}`).data ?? id
    const batch = newBatch(id, { ...options, name }, { rows: stage.rows(), skipped: 0 }, fleetTime())
    const before = await commit(deps, made, { ...batch, destroys: made.id }, idempotency)
    if (before) return { batch: await findBatch(deps, before), replayed: true }
    isAccepted = true
    return { batch: await findBatch(deps, id), replayed: false }
  } finally {
    if (!isAccepted)
      await stage.remove().catch((error) => deps.log.warn({ err: error.message, batch: id }, 'staged rows are left'))
  }
}

/** Returns what a destroy would remove now. Changes nothing. @throws ProvostError `not_found`, `batch_open`. */
export async function tryDestroyBatch(store: Store, source: string): Promise<DryRunOfDestroy> {
  const made = await findEnded(store, source)
  const forecast: DryRunOfDestroy = { dryRun: true, batch: made.id, jails: [], more: 0, hosts: {}, kept: 0 }
  for await (const { jails, kept } of pagesOfMade(store, made)) {
    forecast.kept += kept
    for (const { line, jail } of jails) {
      const { name, client, host, state } = jail
      forecast.hosts[host] = (forecast.hosts[host] ?? 0) + 1
      if (forecast.jails.length < shownAtMost) forecast.jails.push({ line, name, client, host, state })
      else forecast.more += 1
    }
  }
  return forecast
}

/** While a batch makes jails it is not clear which ones are to go. */
async function findEnded(store: Store, id: string): Promise<BatchRecord> {
  const batch = await findBatch(store, id)
  if (batch.finishedAt !== null) return batch
  throw new ProvostError('batch_open', `Batch ${id} has not ended: ${batch.queued + batch.running} of its rows are still to end.`)
}

type MadePage = { jails: { line: number; jail: JailRecord }[]; kept: number }

/** Yields the jails that the rows of a batch have made and that are still there, and how many jails of its rows are others. */
async function* pagesOfMade(store: Store, { id, rows: count }: BatchRecord): AsyncGenerator<MadePage> {
  const { redis, keys, records } = store
  for (let from = 0; from < count; from += pageSize) {
    const rows = await readRowPage(store, id, from, pageSize)
    const outcomes = await redis.hmget(keys.batchOutcomes(id), ...rows.map((_, i) => String(from + i)))
    const found = await records.jails(rows.map((row) => jailOfRow(row).name))
    const jailOf = new Map(found.map((jail) => [jail.name, jail]))
    const jails = rows.flatMap((row, i) => {
      const jail = jailOf.get(jailOfRow(row).name)
      return jail && jail.provision === outcomes[i] ? [{ line: row.line, jail }] : []
    })
    yield { jails, kept: found.length - jails.length }
  }
}

/** Returns the id of the batch that another request under the same key has made meanwhile, if one has. */
async function commit(
  { keys, scripts, openFleet }: AcceptDeps,
  made: BatchRecord,
  batch: NewBatch,
  idempotency: Idempotency | undefined,
): Promise<string | undefined> {
  const source = keys.batch(made.id)
  const committed = await scripts.commit(
    merge(writeBatch(batch, keys), {
      idempotency: idempotency && { ...idempotency, operation: batch.id },
      unchanged: [
        [source, 'revision', made.revision],
        ...(openFleet ? [[keys.fleet, 'id', openFleet()] satisfies [string, string, string]] : []),
      ],
      commands: [['HSET', source, 'destroyedBy', batch.id]],
      events: [['batch', made.id, source]],
    }),
  )
  if (committed.type === 'done') return undefined
  if (committed.type === 'replayed') return committed.operation
  if (committed.type === 'reused') throw keyReused()
  throw new ProvostError('queue_unavailable', `Batch ${made.id} is being changed by another request.`, { retryAfter: 1 })
}
