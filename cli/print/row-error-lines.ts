import { z } from 'zod'
import { formatCount } from './amounts.ts'
import { tableLines } from './table.ts'

const RowError = z.object({ line: z.int(), field: z.string(), message: z.string() })
type RowError = z.infer<typeof RowError>

/** What was wrong with the rows that were left out: the first of it. */
export const SkippedRows = z.array(RowError).default([])

/** What is wrong in the lines of a batch's file, as a table; nothing when nothing is. */
export function rowErrorLines(errors: RowError[]): string[] {
  if (errors.length === 0) return []
  return tableLines(
    ['LINE', 'FIELD', 'WHAT'],
    errors.map(({ line, field, message }) => [String(line), field, message]),
  )
}

/** Which rows were left out and why; `count`: how many, where more may have been than are named. */
export function leftOutLines(errors: RowError[], count?: number): string[] {
  const named = new Set(errors.map(({ line }) => line)).size
  const all = count ?? named
  if (all === 0) return []
  return [
    all === 1 ? '1 row is wrong and is left out:' : `${formatCount(all)} rows are wrong and are left out:`,
    ...rowErrorLines(errors).map((line) => `  ${line}`),
    ...(all > named && named > 0 ? [`  and ${formatCount(all - named)} more rows`] : []),
  ]
}
