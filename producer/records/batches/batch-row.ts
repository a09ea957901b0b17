import { z } from 'zod'
import { CreateJail } from '#shared/jail.ts'
import type { Store } from '../store.ts'

/** A row of a batch as Redis keeps it: its line in the file, and the jail it asks for. */
export const BatchRow = z.object({ line: z.int(), ask: CreateJail })
export type BatchRow = z.infer<typeof BatchRow>
/** A row and its position among the rows of the request, from 1. */
export type NumberedRow = BatchRow & { row: number }

/** A row and its number in the batch, from 0. */
export type StoredRow = BatchRow & { number: number }

/** Reads rows of a batch by their numbers. */
export async function readRows({ redis, keys }: Store, batch: string, numbers: number[]): Promise<StoredRow[]> {
  const pipeline = redis.pipeline()
  for (const number of numbers) pipeline.lindex(keys.batchRows(batch), number)
  const answers = (await pipeline.exec()) ?? []
  return numbers.map((number, i) => ({ number, ...BatchRow.parse(JSON.parse(String(answers[i]?.[1]))) }))
}

/** Reads at most `count` rows of a batch, from number `from` on. */
export async function readRowPage({ redis, keys }: Store, batch: string, from: number, count: number): Promise<BatchRow[]> {
  const texts = await redis.lrange(keys.batchRows(batch), from, from + count - 1)
  return texts.map((text) => BatchRow.parse(JSON.parse(text)))
}
