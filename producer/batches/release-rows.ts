import type { Redis } from 'ioredis'
import pLimit from 'p-limit'
import { type ErrorCode, ProvostError } from '#shared/errors.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { Operate } from '../operations/operate.ts'
import { keptSeconds } from '../records/idempotency.ts'
import { countInBatch } from '../records/operation-lists.ts'
import type { Records } from '../records/records.ts'
import type { Scripts } from '../records/scripts.ts'
import type { BatchRecord } from './batch-record.ts'
import { BatchRow } from './files/batch-row.ts'
import { assertHeld, type Held } from './hold-batch.ts'
import type { Claims } from './intake/claim-names.ts'
import { isAsAsked } from './same-spec.ts'

export type HeldBatch = BatchRecord & { held: Held }

export type ReleaseDeps = {
  redis: Redis
  keys: RedisKeys
  records: Records
  scripts: Scripts
  /** Admits the jails of rows, on hosts that have room for those of a batch. */
  operate: Pick<Operate, 'create'>
  claims: Pick<Claims, 'giveBack' | 'giveBackAll'>
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
 * Done again after a crash it makes nothing twice. Gives why a row had to be deferred, if one had.
 */
export async function releaseRows(batch: HeldBatch, room: number, upTo: number, deps: ReleaseDeps): Promise<string | undefined> {
  const { redis, keys, scripts } = deps
  const end = Math.min(upTo, batch.rows)
  const most = batch.cursor < end ? Math.floor(room / 2) : room
  const due = await redis.zrangebyscore(keys.batchDeferred(batch.id), 0, Date.now(), 'LIMIT', 0, most)
  const last = Math.min(batch.cursor + room - due.length, end)
  const numbers = [...due.map(Number), ...Array.from({ length: Math.max(0, last - batch.cursor) }, (_, i) => batch.cursor + i)]
  if (numbers.length === 0) return undefined
  const rows = await readRows(numbers, batch.id, deps)
  const slots = pLimit(atOnce)
  // All of them, also when one could not: none may be admitted after the batch was let go.
  const settled = await Promise.allSettled(rows.map((row) => slots(() => releaseRow(batch, row, deps))))
  const outcomes = settled.map((each) => {
    if (each.status === 'rejected') throw each.reason
    return each.value
  })
  // What ends without a jail does not keep its name from others. Before that is written, so that no crash comes between.
  const jailless = rows.filter((_, i) => outcomes[i]?.type === 'refused' || outcomes[i]?.type === 'done')
  await deps.claims.giveBack(
    batch.id,
    jailless.map(({ row }) => row.ask.name),
  )
  const committed = await scripts.commit({
    unchanged: [batch.held],
    commands: [
      ['HSET', keys.batch(batch.id), 'cursor', String(Math.max(last, batch.cursor))],
      ...rows.flatMap(({ number }, i) => commandsOf(batch.id, number, outcomes[i] as Outcome, keys)),
    ],
    events: [],
  })
  assertHeld(committed, batch.id)
  const deferred = outcomes.find((outcome) => outcome.type === 'deferred' && outcome.reason !== undefined)
  return deferred?.type === 'deferred' ? deferred.reason : undefined
}

async function readRows(numbers: number[], batch: string, { redis, keys }: ReleaseDeps): Promise<NumberedRow[]> {
  const pipeline = redis.pipeline()
  for (const number of numbers) pipeline.lindex(keys.batchRows(batch), number)
  const answers = (await pipeline.exec()) ?? []
  return numbers.map((number, i) => ({ number, row: BatchRow.parse(JSON.parse(String(answers[i]?.[1]))) }))
}

async function releaseRow({ id, held }: HeldBatch, { number, row: { ask } }: NumberedRow, deps: ReleaseDeps): Promise<Outcome> {
  const { keys, records, operate } = deps
  const name = `batch:${id}`
  const idempotency = { key: keys.idempotency(name, String(number)), fingerprint: name, ttl: keptSeconds }
  // Asked at the moment at which the hosts are looked at: they may have less to do when the answer is there.
  const isBounded = deps.isBounded()
  try {
    await operate.create(ask, idempotency, { batch: id, row: number, held })
    return { type: 'operation' }
  } catch (error) {
    if (!(error instanceof ProvostError) || error.code === 'queue_unavailable') throw error
    if (isBounded && [...shortages, ...unknowns].includes(error.code)) return { type: 'deferred', forMs: boundedForMs }
    if (shortages.includes(error.code))
      return { type: 'deferred', forMs: deferredForMs, reason: `Jail ${ask.name}: ${error.message}` }
    const jail = error.code === 'name_taken' ? await records.jail(ask.name) : undefined
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
