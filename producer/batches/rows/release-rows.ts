import pLimit from 'p-limit'
import { type ErrorCode, ProvostError } from '#shared/errors.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { AcceptDeps } from '../../operations/decision.ts'
import { createJail } from '../../operations/operate.ts'
import { noteForBatch } from '../../records/batches/batch-changes.ts'
import { countInBatch } from '../../records/batches/batch-lists.ts'
import type { BatchRecord } from '../../records/batches/batch-record.ts'
import { BatchRow } from '../../records/batches/batch-row.ts'
import type { Unchanged } from '../../records/change.ts'
import { keptSeconds } from '../../records/operations/idempotency.ts'
import type { Store } from '../../records/store.ts'
import { assertLocked } from '../batch-lock.ts'
import { returnNames } from './claim-names.ts'
import { isAsAsked } from './same-spec.ts'

/** A batch whose lock somebody has. */
export type LockedBatch = BatchRecord & { lock: Unchanged }

export type ReleaseDeps = AcceptDeps & {
  /** Whether a host is left out since it has as many operations open as a batch may give it. */
  isBounded(): boolean
}

type NumberedRow = { number: number; row: BatchRow }
type Outcome =
  /** Its admission has written which one. */
  | { type: 'operation' }
  | { type: 'done' }
  | { type: 'refused'; error: ProvostError }
  | { type: 'deferred'; forMs: number; reason?: string }

const atOnce = 8
const deferredForMs = 5_000
/** For a row that a host might take which has enough to do. */
const boundedForMs = 500
/** What may be otherwise in a moment: a row waits for it. */
const shortages: ErrorCode[] = ['no_capacity', 'no_free_address', 'no_suitable_host', 'address_taken']
/** What may only seem so as long as a host is left out. */
const unknowns: ErrorCode[] = ['unknown_host', 'unknown_world', 'address_not_in_pool', 'unsupported_limit']

/**
 * Releases the next rows of a batch, at most `room` of them and none from number `upTo` on. Those that were deferred come
 * first, but as long as there are others take half of the room only: they may find no place again for ever.
 * Done again after a crash it makes nothing twice. Returns why a row had to be deferred, if one had.
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
  const due = await redis.zrangebyscore(keys.batchDeferred(batch.id), 0, Date.now(), 'LIMIT', 0, most)
  const last = Math.min(batch.cursor + room - due.length, end)
  const numbers = [...due.map(Number), ...Array.from({ length: Math.max(0, last - batch.cursor) }, (_, i) => batch.cursor + i)]
  if (numbers.length === 0) return undefined
  const rows = await readRows(deps, numbers, batch.id)
  const slots = pLimit(atOnce)
  // All of them, also when one could not: none may be admitted after the lock was given back.
  const settled = await Promise.allSettled(rows.map((row) => slots(() => releaseRow(deps, batch, row))))
  const outcomes = settled.map((each) => {
    if (each.status === 'rejected') throw each.reason
    return each.value
  })
  // What ends without a jail does not keep its name from others. Before that is written, so that no crash comes between.
  const jailless = rows.filter((_, i) => outcomes[i]?.type === 'refused' || outcomes[i]?.type === 'done')
  const names = jailless.map(({ row }) => row.ask.name)
  await returnNames(deps, batch.id, names)
  const cursor = ['HSET', keys.batch(batch.id), 'cursor', String(Math.max(last, batch.cursor))]
  const commands = rows.flatMap(({ number }, i) => commandsOf(batch.id, number, outcomes[i] as Outcome, keys))
  assertLocked(await scripts.commit(noteForBatch(batch.lock, [cursor, ...commands])), batch.id)
  const deferred = outcomes.find((outcome) => outcome.type === 'deferred' && outcome.reason !== undefined)
  return deferred?.type === 'deferred' ? deferred.reason : undefined
}

async function readRows({ redis, keys }: Store, numbers: number[], batch: string): Promise<NumberedRow[]> {
  const pipeline = redis.pipeline()
  for (const number of numbers) pipeline.lindex(keys.batchRows(batch), number)
  const answers = (await pipeline.exec()) ?? []
  return numbers.map((number, i) => ({ number, row: BatchRow.parse(JSON.parse(String(answers[i]?.[1]))) }))
}

async function releaseRow(deps: ReleaseDeps, { id, lock }: LockedBatch, { number, row: { ask } }: NumberedRow): Promise<Outcome> {
  const name = `batch:${id}`
  const idempotency = { key: deps.keys.idempotency(name, String(number)), fingerprint: name, ttl: keptSeconds }
  // Asked at the moment at which the hosts are looked at: they may have less to do when the answer is there.
  const isBounded = deps.isBounded()
  try {
    await createJail(deps, ask, idempotency, { batch: { id, row: number, lock } })
    return { type: 'operation' }
  } catch (error) {
    if (!(error instanceof ProvostError) || error.code === 'queue_unavailable') throw error
    if (isBounded && [...shortages, ...unknowns].includes(error.code)) return { type: 'deferred', forMs: boundedForMs }
    if (shortages.includes(error.code))
      return { type: 'deferred', forMs: deferredForMs, reason: `Jail ${ask.name}: ${error.message}` }
    const jail = error.code === 'name_taken' ? await deps.records.jail(ask.name) : undefined
    return jail && isAsAsked(jail, ask) ? { type: 'done' } : { type: 'refused', error }
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
      return [['ZADD', keys.batchDeferred(batch), String(Date.now() + outcome.forMs), row]]
  }
}
