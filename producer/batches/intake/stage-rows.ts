import type { Redis } from 'ioredis'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { BatchRow } from '../files/batch-row.ts'

export type Stage = Awaited<ReturnType<typeof openStage>>

const keptSeconds = 3_600
const removeScript = `
  if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
  redis.call('UNLINK', KEYS[2], KEYS[3])
  return 1`

/**
 * Where the rows of a batch lie until it is accepted: a list that nobody looks at as long as the batch has no record, and
 * that expires should its producer be killed.
 */
export async function openStage(batch: string, { redis, keys }: { redis: Redis; keys: RedisKeys }) {
  const list = keys.batchRows(batch)
  const mark = keys.batchMark(batch)
  const names: string[] = []
  let lastWrite: Promise<unknown> = Promise.resolve()
  await redis.multi().hset(mark, 'revision', '1').expire(mark, keptSeconds).exec()

  return {
    /** Writes rows while the next ones are read; a fault of it is thrown by the next call. */
    async add(rows: BatchRow[]): Promise<void> {
      if (rows.length === 0) return
      names.push(...rows.map(({ ask }) => ask.name))
      const texts = rows.map(({ line, ask }) => JSON.stringify({ line, ask } satisfies BatchRow))
      await lastWrite
      lastWrite = redis
        .pipeline()
        .rpush(list, ...texts)
        .expire(list, keptSeconds)
        .exec()
        .then((answers) => {
          for (const [error] of answers ?? []) if (error) throw error
        })
      lastWrite.catch(() => undefined)
    },
    /** Once all is written. */
    written: () => lastWrite,
    rows: () => names.length,
    names: () => names,
    /** Whether the batch has no record, so that its rows were removed: what cannot be said of a commit without an answer. */
    async remove(): Promise<boolean> {
      await lastWrite.catch(() => undefined)
      return (await redis.eval(removeScript, 3, keys.batch(batch), list, mark)) === 1
    },
  }
}
