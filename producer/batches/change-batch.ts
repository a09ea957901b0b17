import type { Redis } from 'ioredis'
import pLimit from 'p-limit'
import { ProvostError } from '#shared/errors.ts'
import { hasEnded } from '#shared/operation.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { Operate } from '../operations/operate.ts'
import { countInBatch } from '../records/operation-lists.ts'
import { type Records, toFields } from '../records/records.ts'
import type { Scripts } from '../records/scripts.ts'
import { type BatchRecord, countWaiting, readBatch } from './batch-record.ts'
import { findCauses } from './find-causes.ts'
import { assertHeld, awaitBatch } from './hold-batch.ts'
import type { Claims } from './intake/claim-names.ts'

type Deps = {
  redis: Redis
  keys: RedisKeys
  records: Records
  scripts: Scripts
  claims: Pick<Claims, 'giveBackAll'>
  operate: Pick<Operate, 'cancel'>
}

export type ChangeBatch = ReturnType<typeof makeChangeBatch>

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

  /** Decides on the batch as it is. Not while its rows are being released or its end is decided: one would undo the other. */
  async function change(id: string, decide: (batch: BatchRecord) => Promise<string[][] | undefined>): Promise<BatchRecord> {
    const key = keys.batch(id)
    await batchOf(id)
    return awaitBatch(id, redis, keys, async (held) => {
      const batch = await batchOf(id)
      const commands = await decide(batch)
      if (!commands) return batch
      assertHeld(await scripts.commit({ unchanged: [held], commands, events: [['batch', id, key]] }), id)
      return batchOf(id)
    })
  }

  const set = (id: string, fields: Partial<BatchRecord>) => ['HSET', keys.batch(id), ...toFields(fields)]

  async function cancelOperations(id: string): Promise<void> {
    const slots = pLimit(cancelsAtOnce)
    const ids = await redis.zrange(keys.operations('batch', id), '0', '-1')
    for (let from = 0; from < ids.length; from += pageSize) {
      const open = (await records.operations(ids.slice(from, from + pageSize))).filter(({ status }) => !hasEnded(status))
      await Promise.all(open.map((each) => slots(() => operate.cancel(each.id).catch(endsByItself))))
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
      const cancelled = await change(id, async (batch) => {
        if (batch.finishedAt !== null) return undefined
        const waiting = await countWaiting(batch, redis, keys)
        return [
          set(id, { status: 'cancelled', cursor: batch.rows }),
          ['HDEL', keys.batch(id), 'reason', 'retryCause', 'retryBefore'],
          ['DEL', keys.batchDeferred(id)],
          ...countInBatch(id, 'queued', 'cancelled', keys, waiting),
        ]
      })
      if (cancelled.status !== 'cancelled') return cancelled
      await claims.giveBackAll(cancelled)
      if (running === 'cancel') await cancelOperations(id)
      return batchOf(id)
    },

    /** Tries again what has failed by now, all of it or that of one cause. @throws ProvostError `not_found` for an unknown cause. */
    async retry(id: string, cause?: string): Promise<BatchRecord> {
      await batchOf(id)
      if (cause !== undefined && !(await findCauses(id, deps)).some((known) => known.id === cause))
        throw new ProvostError('not_found', `Batch ${id} has no failures of cause ${cause}.`)
      return change(id, async ({ status, finishedAt, failed }) => {
        if (failed === 0) return undefined
        const wanted = { retryCause: cause ?? '*', retryBefore: Number(await redis.get(keys.epoch)) }
        const again = finishedAt === null ? {} : { finishedAt: null, status: status === 'cancelled' ? status : 'running' }
        return [set(id, { ...wanted, ...again } as Partial<BatchRecord>), ['ZADD', keys.batches('open'), '0', id]]
      })
    },
  }
}

/** One that cannot be cancelled any more. @throws whatever says that Redis could not be asked. */
function endsByItself(error: unknown): void {
  if (!(error instanceof ProvostError) || error.code === 'queue_unavailable') throw error
}
