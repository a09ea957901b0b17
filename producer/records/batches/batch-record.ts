import { z } from 'zod'
import { type Batch, type BatchOptions, BatchStatus, type Cause } from '#shared/batch.ts'
import { ProvostError } from '#shared/errors.ts'
import { integer, json, nullable } from '../fields.ts'
import type { Store } from '../store.ts'

const BatchFields = z.object({
  id: z.string(),
  name: z.string(),
  status: BatchStatus,
  reason: z.string().optional(),
  maxInFlight: integer,
  canary: integer.optional(),
  maxFailures: integer,
  maxFailureRate: z.coerce.number().optional(),
  /** How many rows it has. */
  rows: integer,
  /** The rows before this one, from 0, were released, deferred, or are done. */
  cursor: integer,
  /** A row that is not released counts as queued. */
  queued: integer,
  running: integer,
  succeeded: integer,
  failed: integer,
  cancelled: integer,
  skipped: integer,
  /** Its canary did well enough, or somebody resumed it all the same. */
  canaryPassed: z.literal('1').optional(),
  /** How many had ended, and failed, when somebody resumed it last: from there its failure rate is counted. */
  endedBefore: integer.default(0),
  failedBefore: integer.default(0),
  /** What is to be tried again: the failures of a cause, or `*`, up to an epoch. A retry gives an operation a later one. */
  retryCause: z.string().optional(),
  retryBefore: integer.optional(),
  rate: z.coerce.number().optional(),
  eta: json(z.object({ p50: z.number(), p90: z.number() })).optional(),
  createdAt: z.string(),
  finishedAt: nullable(z.string()),
  revision: z.string(),
})

/** A batch's record: what HTTP shows, and what only the producer needs. */
export type BatchRecord = z.infer<typeof BatchFields>
/** One that is not written yet: the script that writes it gives it its revision. */
export type NewBatch = Omit<BatchRecord, 'revision'>

export const batchFromFields = (fields: Record<string, string>): BatchRecord => BatchFields.parse(fields)

export async function readBatch({ redis, keys }: Pick<Store, 'redis' | 'keys'>, id: string): Promise<BatchRecord | undefined> {
  const fields = await redis.hgetall(keys.batch(id))
  // Operations that a recovery has brought back count on in a batch that is lost.
  return fields['id'] === undefined ? undefined : batchFromFields(fields)
}

/** @throws ProvostError `not_found`. */
export async function findBatch(store: Store, id: string): Promise<BatchRecord> {
  const batch = await readBatch(store, id)
  if (!batch) throw new ProvostError('not_found', `There is no batch ${id}.`)
  return batch
}

/** How many rows of a batch were neither released nor refused. Those that a cancel has left count as cancelled. */
export async function countWaiting({ redis, keys }: Store, { id, rows, status }: BatchRecord): Promise<number> {
  if (status === 'cancelled') return redis.zcard(keys.batchDeferred(id))
  const [released, refused] = await Promise.all([redis.hlen(keys.batchOutcomes(id)), redis.hlen(keys.batchRefused(id))])
  return rows - released - refused
}

/** A batch as it is when it has just been accepted. Without a name of its own it is called as its id. */
export function newBatch(id: string, options: BatchOptions, counts: { rows: number; skipped: number }, now: Date): NewBatch {
  return {
    id,
    ...options,
    name: options.name ?? id,
    status: 'running',
    ...counts,
    cursor: 0,
    queued: counts.rows,
    running: 0,
    succeeded: 0,
    failed: 0,
    cancelled: 0,
    endedBefore: 0,
    failedBefore: 0,
    createdAt: now.toISOString(),
    finishedAt: null,
  }
}

export function toBatch(record: NewBatch, causes: Cause[] = []): Batch {
  const { queued, running, succeeded, failed, cancelled, ...shown } = record
  const {
    rows: _rows,
    cursor: _cursor,
    canaryPassed: _canaryPassed,
    endedBefore: _endedBefore,
    failedBefore: _failedBefore,
    retryCause: _retryCause,
    retryBefore: _retryBefore,
    revision: _revision,
    ...rest
  } = shown as Omit<BatchRecord, keyof Batch['counts']>
  return { ...rest, counts: { queued, running, succeeded, failed, cancelled }, causes } as Batch
}
