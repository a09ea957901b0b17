import { z } from 'zod'
import { type Batch, type BatchOptions, BatchStatus, type Cause } from '#shared/batch.ts'
import { ProvostError } from '#shared/errors.ts'
import { integer, json, nullable } from '../fields.ts'
import { pagesOf } from '../lists.ts'
import type { Store } from '../store.ts'
import { batchList } from './batch-lists.ts'

const namesAtOnce = 1_000

const BatchFields = z.object({
  id: z.string(),
  name: z.string(),
  status: BatchStatus,
  reason: z.string().optional(),
  maxInFlight: integer,
  /** The batch whose jails it destroys, if it makes none. */
  destroys: z.string().optional(),
  /** The last batch that destroys what this one has made. */
  destroyedBy: z.string().optional(),
  canary: integer.optional(),
  maxFailures: integer,
  maxFailureRate: z.coerce.number().optional(),
  rows: integer,
  /** The rows before this one, from 0, were released or deferred, or are done. */
  cursor: integer,
  /** A row that is not released counts as queued. */
  queued: integer,
  running: integer,
  succeeded: integer,
  failed: integer,
  cancelled: integer,
  skipped: integer,
  /** Its canary passed, or somebody resumed it although it had not. */
  canaryPassed: z.literal('1').optional(),
  /** When somebody last resumed it, and how many had ended, and failed, by then: its failure rate is counted from there. */
  resumedAt: z.string().optional(),
  endedBefore: integer.default(0),
  failedBefore: integer.default(0),
  /** What to retry: the failures of a cause, or `*`, up to an epoch. A retry gives an operation a later epoch. */
  retryCause: z.string().optional(),
  retryBefore: integer.optional(),
  rate: z.coerce.number().optional(),
  eta: json(z.object({ p50: z.number(), p90: z.number() })).optional(),
  createdAt: z.string(),
  finishedAt: nullable(z.string()),
  revision: z.string(),
})

/** A batch's record: what HTTP shows, and fields that only the producer needs. */
export type BatchRecord = z.infer<typeof BatchFields>
/** A record that is not written yet: the script that writes it sets its revision. */
export type NewBatch = Omit<BatchRecord, 'revision'>

export async function readBatch({ redis, keys }: Pick<Store, 'redis' | 'keys'>, id: string): Promise<BatchRecord | undefined> {
  const fields = await redis.hgetall(keys.batch(id))
  // A hash without an id: operations that a recovery restored still count in a batch that is lost.
  return fields['id'] === undefined ? undefined : BatchFields.parse(fields)
}

/** @throws ProvostError `not_found`. */
export async function findBatch(store: Store, id: string): Promise<BatchRecord> {
  const batch = await readBatch(store, id)
  if (!batch) throw new ProvostError('not_found', `There is no batch ${id}.`)
  return batch
}

/** Returns how many rows of a batch were neither released nor refused. Rows that a cancel left unreleased count as cancelled. */
export async function countWaiting({ redis, keys }: Store, { id, rows, status }: BatchRecord): Promise<number> {
  if (status === 'cancelled') return redis.zcard(keys.batchDeferred(id))
  const [released, refused] = await Promise.all([redis.hlen(keys.batchOutcomes(id)), redis.hlen(keys.batchRefused(id))])
  return rows - released - refused
}

/** Returns the batch with an id or, if there is none, with a name. @throws ProvostError `not_found`, `ambiguous_name`. */
export async function findBatchCalled(store: Store, idOrName: string): Promise<BatchRecord> {
  const id = await idOfBatch(store, idOrName)
  if (id === undefined) throw new ProvostError('not_found', `There is no batch ${idOrName}.`)
  return findBatch(store, id)
}

/** Returns the id of the batch with an id or a name; undefined if there is none. @throws ProvostError `ambiguous_name`. */
export async function idOfBatch({ redis, keys }: Store, idOrName: string): Promise<string | undefined> {
  if ((await redis.hexists(keys.batch(idOrName), 'id')) === 1) return idOrName
  const found: string[] = []
  for await (const ids of pagesOf(redis, batchList('all', keys), namesAtOnce)) {
    const names = await Promise.all(ids.map((id) => redis.hget(keys.batch(id), 'name')))
    found.push(...ids.filter((_, i) => names[i] === idOrName))
  }
  if (found.length > 1)
    throw new ProvostError('ambiguous_name', `${found.length} batches are called ${idOrName}: ${found.toReversed().join(', ')}.`)
  return found[0]
}

/** Returns a batch as it is just after acceptance. Without a name of its own its id is its name. */
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
    resumedAt: _resumedAt,
    endedBefore: _endedBefore,
    failedBefore: _failedBefore,
    retryCause: _retryCause,
    retryBefore: _retryBefore,
    revision: _revision,
    ...rest
  } = shown as Omit<BatchRecord, keyof Batch['counts']>
  return { ...rest, counts: { queued, running, succeeded, failed, cancelled }, causes } as Batch
}
