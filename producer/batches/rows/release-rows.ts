import pLimit from 'p-limit'
import { type ErrorCode, ProvostError } from '#shared/errors.ts'
import { fleetTimeMs } from '#shared/redis/fleet-clock.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { AcceptDeps } from '../../operations/decision.ts'
import { createJail, operateJail } from '../../operations/operate.ts'
import { changeWithoutEvent } from '../../records/batches/batch-changes.ts'
import { countInBatch } from '../../records/batches/batch-lists.ts'
import type { BatchRecord } from '../../records/batches/batch-record.ts'
import { type DestroyRow, jailOfRow, type MakeRow, readRows, type StoredRow } from '../../records/batches/batch-row.ts'
import type { Unchanged } from '../../records/change.ts'
import { type Idempotency, keptSeconds } from '../../records/operations/idempotency.ts'
import { assertLocked } from '../batch-lock.ts'
import { returnNames } from './claim-names.ts'
import { matchesRequest } from './match-request.ts'

/** A batch with its lock, which the caller has. */
export type LockedBatch = BatchRecord & { lock: Unchanged }

type ReleaseDeps = AcceptDeps & {
  /** Whether a host, or some host, is left out, as it has as many open operations as batches may give it. */
  isBounded(host?: string): boolean
}

type Outcome =
  /** Its admission has written the id of the operation. */
  | { type: 'operation' }
  | { type: 'done' }
  | { type: 'refused'; error: ProvostError }
  | { type: 'deferred'; forMs: number; reason?: string }

const atOnce = 8
const deferredForMs = 5_000
/** For a row that might be taken by a host that has enough work now. */
const boundedForMs = 500
/** Refusals that may be over in a moment: a row waits for that. */
const shortages: ErrorCode[] = ['no_capacity', 'no_free_address', 'no_suitable_host', 'address_taken']
/** Refusals that may be wrong while a host is left out. */
const unknowns: ErrorCode[] = ['unknown_host', 'unknown_world', 'address_not_in_pool', 'unsupported_limit']

/**
 * Releases the next rows of a batch, at most `room` of them, and none from number `upTo` on. Deferred rows come first, but take
 * only half of the room while there are others, as they may be refused for ever. Repeated after a crash it creates nothing
 * twice. Returns why a row was deferred, if one was.
 */
export async function releaseRows(
  deps: ReleaseDeps,
  batch: LockedBatch,
  room: number,
  upTo: number,
): Promise<string | undefined> {
  const { redis, keys, scripts } = deps
  const end = Math.min(upTo, batch.rows)
  const most = batch.cursor < end ? Math.floor(room / 2) : room
  const due = await redis.zrangebyscore(keys.batchDeferred(batch.id), 0, fleetTimeMs(), 'LIMIT', 0, most)
  const last = Math.min(batch.cursor + room - due.length, end)
  const numbers = [...due.map(Number), ...Array.from({ length: Math.max(0, last - batch.cursor) }, (_, i) => batch.cursor + i)]
  if (numbers.length === 0) return undefined
  const rows = await readRows(deps, batch.id, numbers)
  const slots = pLimit(atOnce)
  // Waits for all of them, also when one fails: none may be admitted after the lock was released.
  const settled = await Promise.allSettled(rows.map((row) => slots(() => releaseRow(deps, batch, row))))
  const outcomes = settled.map((each) => {
    if (each.status === 'rejected') throw each.reason
    return each.value
  })
  // A row that ends without a jail gives its name back. That comes first, so that a crash in between leaves no claim behind.
  const jailless = rows.filter((_, i) => outcomes[i]?.type === 'refused' || outcomes[i]?.type === 'done')
  const names = jailless.map((row) => jailOfRow(row).name)
  await returnNames(deps, batch.id, names)
  const cursor = ['HSET', keys.batch(batch.id), 'cursor', String(Math.max(last, batch.cursor))]
  const commands = rows.flatMap(({ number }, i) => commandsOf(batch.id, number, outcomes[i] as Outcome, keys))
  assertLocked(await scripts.commit(changeWithoutEvent(batch.lock, [cursor, ...commands])), batch.id)
  const deferred = outcomes.find((outcome) => outcome.type === 'deferred' && outcome.reason !== undefined)
  return deferred?.type === 'deferred' ? deferred.reason : undefined
}

function releaseRow(deps: ReleaseDeps, batch: LockedBatch, row: StoredRow): Promise<Outcome> {
  const scope = `batch:${batch.id}`
  const idempotency = { key: deps.keys.idempotency(scope, String(row.number)), fingerprint: scope, ttl: keptSeconds }
  return 'ask' in row ? makeJail(deps, batch, row, idempotency) : destroyJail(deps, batch, row, idempotency)
}

async function makeJail(
  deps: ReleaseDeps,
  { id, lock }: LockedBatch,
  { number, ask }: StoredRow & MakeRow,
  idempotency: Idempotency,
): Promise<Outcome> {
  // Read whenever hosts are chosen from: other rows count on them meanwhile, and by the time of the answer they may have less work.
  let isBounded = false
  const all = () => {
    isBounded ||= deps.isBounded()
    return deps.hosts.all()
  }
  try {
    await createJail({ ...deps, hosts: { ...deps.hosts, all } }, ask, idempotency, { batch: { id, row: number, lock } })
    return { type: 'operation' }
  } catch (error) {
    if (!(error instanceof ProvostError) || error.code === 'queue_unavailable') throw error
    if (isBounded && [...shortages, ...unknowns].includes(error.code)) return { type: 'deferred', forMs: boundedForMs }
    if (shortages.includes(error.code))
      return { type: 'deferred', forMs: deferredForMs, reason: `Jail ${ask.name}: ${error.message}` }
    const jail = error.code === 'name_taken' ? await deps.records.jail(ask.name) : undefined
    return jail && matchesRequest(jail, ask) ? { type: 'done' } : { type: 'refused', error }
  }
}

/** Unlike a jail that is made, one that is destroyed has its host already: it waits until that has room for work of a batch. */
async function destroyJail(
  deps: ReleaseDeps,
  { id, lock }: LockedBatch,
  { number, destroy: { name, provision } }: StoredRow & DestroyRow,
  idempotency: Idempotency,
): Promise<Outcome> {
  const jail = await deps.records.jail(name)
  if (jail?.provision !== provision) return { type: 'done' }
  if (deps.isBounded(jail.host)) return { type: 'deferred', forMs: boundedForMs }
  try {
    await operateJail(deps, 'destroy', name, idempotency, { batch: { id, row: number, lock }, provision })
    return { type: 'operation' }
  } catch (error) {
    if (!(error instanceof ProvostError) || error.code === 'queue_unavailable') throw error
    // Somebody else has destroyed it, or is about to.
    if (error.code === 'not_found') return { type: 'done' }
    if (error.code === 'jail_busy') return { type: 'deferred', forMs: deferredForMs, reason: error.message }
    return { type: 'refused', error }
  }
}

function commandsOf(batch: string, number: number, outcome: Outcome, keys: RedisKeys): string[][] {
  const row = String(number)
  const taken = ['ZREM', keys.batchDeferred(batch), row]
  switch (outcome.type) {
    case 'operation':
      return [taken]
    case 'done':
      return [taken, ['HSET', keys.batchOutcomes(batch), row, 'done'], ...countInBatch(batch, 'queued', 'succeeded', keys)]
    case 'refused': {
      const { code, message, hint } = outcome.error
      const refused = JSON.stringify({ code, message, hint })
      return [taken, ['HSET', keys.batchRefused(batch), row, refused], ...countInBatch(batch, 'queued', 'failed', keys)]
    }
    case 'deferred':
      return [['ZADD', keys.batchDeferred(batch), String(fleetTimeMs() + outcome.forMs), row]]
  }
}
