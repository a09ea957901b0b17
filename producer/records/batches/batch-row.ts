import { z } from 'zod'
import { CreateJail } from '#shared/jail.ts'

/** A row of a batch as Redis keeps it: where it stood in the file, and the jail it asks for. */
export const BatchRow = z.object({ line: z.int(), ask: CreateJail })
export type BatchRow = z.infer<typeof BatchRow>
/** A row and its place among the rows, from 1. */
export type NumberedRow = BatchRow & { row: number }
