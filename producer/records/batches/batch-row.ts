import { z } from 'zod'
import { CreateJail, JailName, PlainName } from '#shared/jail.ts'
import { answersOf } from '#shared/redis/transactions.ts'
import type { Store } from '../store.ts'

/** A row that asks for a jail. */
export const MakeRow = z.object({ line: z.int(), ask: CreateJail })
export type MakeRow = z.infer<typeof MakeRow>

/** A row that asks for the end of the jail that a provision has made; of another jail with its name it wants nothing. */
const DestroyRow = z.object({
  line: z.int(),
  destroy: z.object({ name: JailName, client: PlainName, world: PlainName, provision: z.string() }),
})
export type DestroyRow = z.infer<typeof DestroyRow>

/**
 * A row of a batch as Redis keeps it, with its line in the file. A producer that is too old for rows that destroy cannot read
 * them, and so does not take them for rows that make.
 */
export const BatchRow = z.union([MakeRow, DestroyRow])
export type BatchRow = z.infer<typeof BatchRow>
/** A row and its position among the rows of the request, from 1. */
export type NumberedRow = MakeRow & { row: number }

/** Returns which jail a row is about. */
export const jailOfRow = (row: BatchRow): Pick<CreateJail, 'name' | 'client' | 'world'> => ('ask' in row ? row.ask : row.destroy)

/** A row and its number in the batch, from 0. */
export type StoredRow = BatchRow & { number: number }

/** Reads rows of a batch by their numbers. */
export async function readRows({ redis, keys }: Store, batch: string, numbers: number[]): Promise<StoredRow[]> {
  const pipeline = redis.pipeline()
  for (const number of numbers) pipeline.lindex(keys.batchRows(batch), number)
  const answers = await answersOf(pipeline)
  return numbers.map((number, i) => ({ number, ...BatchRow.parse(JSON.parse(String(answers[i]))) }))
}

/** Reads at most `count` rows of a batch, from number `from` on. */
export async function readRowPage({ redis, keys }: Store, batch: string, from: number, count: number): Promise<BatchRow[]> {
  const texts = await redis.lrange(keys.batchRows(batch), from, from + count - 1)
  return texts.map((text) => BatchRow.parse(JSON.parse(text)))
}
