import { answersOf } from '#shared/redis/transactions.ts'
import { type BatchRow, jailOfRow } from '../../records/batches/batch-row.ts'
import type { Store } from '../../records/store.ts'

export type Stage = Awaited<ReturnType<typeof openStage>>

const keptSeconds = 3_600

/** Stages rows of a batch until it is accepted: nobody reads them before it has a record; if its producer dies they expire. */
export async function openStage({ redis, keys, scripts }: Store, batch: string) {
  const list = keys.batchRows(batch)
  const mark = keys.batchMark(batch)
  const names: string[] = []
  let lastWrite: Promise<unknown> = Promise.resolve()
  await redis.multi().hset(mark, 'names', 'claimed').expire(mark, keptSeconds).exec()

  return {
    /** Writes rows while the next ones are read; the next call throws if that failed. */
    async add(rows: BatchRow[]): Promise<void> {
      if (rows.length === 0) return
      names.push(...rows.map((row) => jailOfRow(row).name))
      const texts = rows.map((row) => JSON.stringify(storedOf(row)))
      await lastWrite
      lastWrite = answersOf(
        redis
          .pipeline()
          .rpush(list, ...texts)
          .expire(list, keptSeconds),
      )
      lastWrite.catch(() => undefined)
    },
    /** Resolves once everything is written. */
    written: () => lastWrite,
    rows: () => names.length,
    names: () => names,
    /** Removes the rows. Returns false if the batch has a record after all: a commit without an answer may have written it. */
    async remove(): Promise<boolean> {
      await lastWrite.catch(() => undefined)
      return (await scripts.discardRows([keys.batch(batch), list, mark])) === 1
    },
  }
}

/** Returns a row without what only its acceptance needs. */
function storedOf(row: BatchRow): BatchRow {
  const { line } = row
  return 'ask' in row ? { line, ask: row.ask } : { line, destroy: row.destroy }
}
