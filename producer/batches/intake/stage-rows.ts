import type { BatchRow } from '../../records/batches/batch-row.ts'
import type { Store } from '../../records/store.ts'

export type Stage = Awaited<ReturnType<typeof openStage>>

const keptSeconds = 3_600

/**
 * Where the rows of a batch lie until it is accepted: a list that nobody looks at as long as the batch has no record, and
 * that expires should its producer be killed.
 */
export async function openStage({ redis, keys, scripts }: Store, batch: string) {
  const list = keys.batchRows(batch)
  const mark = keys.batchMark(batch)
  const names: string[] = []
  let lastWrite: Promise<unknown> = Promise.resolve()
  await redis.multi().hset(mark, 'names', 'claimed').expire(mark, keptSeconds).exec()

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
      return (await scripts.discardRows([keys.batch(batch), list, mark])) === 1
    },
  }
}
