import type { RowFault } from '#shared/batch.ts'
import { formatCount } from './amounts.ts'
import { tableLines } from './table.ts'

/** Formats the faults in a batch's file as a table; without faults, returns no lines. */
export function rowErrorLines(errors: RowFault[]): string[] {
  if (errors.length === 0) return []
  return tableLines(
    ['LINE', 'FIELD', 'WHAT'],
    errors.map(({ line, field, message }) => [String(line), field, message]),
  )
}

/** Which rows were left out and why. `count` is their number, if `errors` may not name them all. */
export function leftOutLines(errors: RowFault[], count?: number): string[] {
  const named = new Set(errors.map(({ line }) => line)).size
  const all = count ?? named
  if (all === 0) return []
  return [
    all === 1 ? '1 row is wrong and is left out:' : `${formatCount(all)} rows are wrong and are left out:`,
    ...rowErrorLines(errors).map((line) => `  ${line}`),
    ...(all > named && named > 0 ? [`  and ${formatCount(all - named)} more rows`] : []),
  ]
}
