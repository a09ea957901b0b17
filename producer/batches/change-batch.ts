import type { Redis } from 'ioredis'
import pLimit from 'p-limit'
import { ProvostError } from '#shared/errors.ts'
import type { RedisKeys } from '#shared/keys.ts'
import { hasEnded } from '#shared/operation.ts'
import type { Operate } from '../operate.ts'
import { type Records, toFields } from '../records.ts'
import type { Scripts } from '../scripts.ts'
import { countInBatch } from '../status-lists.ts'
import { type BatchRecord, countWaiting, readBatch } from './batch-record.ts'
import { BatchRow } from './batch-row.ts'
import type { Claims } from './claim-names.ts'
import { findCauses } from './find-causes.ts'
import { awaitBatch } from './hold-batch.ts'

type Deps = {
  redis: Redis
  keys: RedisKeys
  records: Records
  scripts: Scripts
  claims: Pick<Claims, 'giveBack'>
  operate: Pick<Operate, 'cancel'>
}

export type ChangeBatch = ReturnType<typeof makeChangeBatch>

const tries = 50
const pageSize = 1_000
const cancelsAtOnce = 8

/** What a person may ask of a batch that was accepted. All of it may be asked again. */
export function makeChangeBatch(deps: Deps) {
  const { redis, keys, records, scripts, claims, operate } = deps

  async function batchOf(id: string): Promise<BatchRecord> {
    const batch = await readBatch(redis, keys, id)
    if (!batch) throw new ProvostError('not_found', `There is no batch ${id}.`)
    return batch
  }

  /** Decides on the batch as it is, and again when it has changed meanwhile. */
  async function change(id: string, decide: (batch: BatchRecord) => Promise<string[][] | undefined>): Promise<BatchRecord> {
    const key = keys.batch(id)
    for (let i = 0; i < tries; i += 1) {
      const batch = await batchOf(id)
      const commands = await decide(batch)
      if (!commands) return batch
      const committed = await scripts.commit({ unchanged: [[key, batch.revision]], commands, events: [['batch', id, key]] })
      if (committed.type === 'done') return batchOf(id)
    }
    throw new ProvostError('queue_unavailable', 'The batch changed faster than it could be read.', { retryAfter: 1 })
  }

  const set = (id: string, fields: Partial<BatchRecord>) => ['HSET', keys.batch(id), ...toFields(fields)]

  /** The names of rows that were not released are free again. */
  async function giveBackNames({ id, rows }: BatchRecord): Promise<void> {
    for (let from = 0; from < rows; from += pageSize) {
      const page = await redis.lrange(keys.batchRows(id), from, from + pageSize - 1)
      await claims.giveBack(
        id,
        page.map((text) => BatchRow.parse(JSON.parse(text)).ask.name),
      )
    }
  }

  async function cancelOperations(id: string): Promise<void> {
    const slots = pLimit(cancelsAtOnce)
    const ids = await redis.zrange(keys.operations('batch', id), '0', '-1')
    for (let from = 0; from < ids.length; from += pageSize) {
      const open = (await records.operations(ids.slice(from, from + pageSize))).filter(({ status }) => !hasEnded(status))
      // One that cannot be cancelled any more ends by itself.
      await Promise.all(open.map((each) => slots(() => operate.cancel(each.id).catch(() => undefined))))
    }
  }

  return {
    batchOf,

    pause: (id: string) =>
      change(id, async ({ status }) =>
        status === 'running' ? [set(id, { status: 'paused', reason: 'somebody paused it' })] : undefined,
      ),

    /** Also after it has paused by itself: then it is to go on all the same. */
    resume: (id: string) =>
      change(id, async ({ status, succeeded, failed }) =>
        status === 'paused'
          ? [
              set(id, { status: 'running', canaryPassed: '1', endedBefore: succeeded + failed, failedBefore: failed }),
              ['HDEL', keys.batch(id), 'reason'],
            ]
          : undefined,
      ),

    /** No further row is released; what runs is finished, or cancelled as well. */
    async cancel(id: string, running: 'finish' | 'cancel'): Promise<BatchRecord> {
      const decide = async (batch: BatchRecord) => {
        if (batch.status !== 'running' && batch.status !== 'paused') return undefined
        const waiting = await countWaiting(batch, redis, keys)
        return [
          set(id, { status: 'cancelled', cursor: batch.rows }),
          ['HDEL', keys.batch(id), 'reason', 'retryCause', 'retryBefore'],
          ['DEL', keys.batchDeferred(id)],
          ...countInBatch(id, 'queued', 'cancelled', keys, waiting),
        ]
      }
      await batchOf(id)
      // Not while rows are being released: they would be counted twice.
      const cancelled = await awaitBatch(id, redis, keys, () => change(id, decide))
      if (cancelled.status !== 'cancelled') return cancelled
      await giveBackNames(cancelled)
      if (running === 'cancel') await cancelOperations(id)
      return batchOf(id)
    },

    /** Tries again what has failed by now, all of it or that of one cause. @throws ProvostError `not_found` for an unknown cause. */
    async retry(id: string, cause?: string): Promise<BatchRecord> {
      const { failed } = await batchOf(id)
      if (cause !== undefined && !(await findCauses(id, deps)).some((known) => known.id === cause))
        throw new ProvostError('not_found', `Batch ${id} has no failures of cause ${cause}.`)
      return change(id, async ({ status, finishedAt }) => {
        if (failed === 0) return undefined
        const wanted = { retryCause: cause ?? '*', retryBefore: Date.now() }
        const again = finishedAt === null ? {} : { finishedAt: null, status: status === 'cancelled' ? status : 'running' }
        return [set(id, { ...wanted, ...again } as Partial<BatchRecord>), ['ZADD', keys.batches('open'), '0', id]]
      })
    },
  }
}
