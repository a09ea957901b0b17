import type { FaultCause, RowFault } from '#shared/batch.ts'
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

/** Formats the faults in a batch's file by their cause, with what may stand there instead. */
export function causeOfFaultLines(causes: FaultCause[]): string[] {
  if (causes.length === 0) return []
  return tableLines(
    ['TIMES', 'FIELD', 'WHAT', 'VALUE', 'BETTER', 'LINES'],
    causes.map(({ count, field, message, value, suggestion, lines }) => [
      formatCount(count),
      field,
      message,
      value === undefined ? (lines.length < count ? '(various)' : '') : printable(value),
      suggestion ?? '',
      `${lines.join(', ')}${lines.length < count ? ', …' : ''}`,
    ]),
  )
}

/** What a file has in it must not move the cursor of a terminal. */
function printable(value: string): string {
  return value.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, '\uFFFD')
}

/** Which rows were left out and why. `count` is their number, if `errors` may not name them all. */
export function leftOutLines(errors: RowFault[], causes: FaultCause[] = [], count?: number): string[] {
  const named = new Set(errors.map(({ line }) => line)).size
  const all = count ?? named
  if (all === 0) return []
  const lines = causes.length > 0 ? causeOfFaultLines(causes) : rowErrorLines(errors)
  return [
    all === 1 ? '1 row is wrong and is left out:' : `${formatCount(all)} rows are wrong and are left out:`,
    ...lines.map((line) => `  ${line}`),
    ...(causes.length === 0 && all > named && named > 0 ? [`  and ${formatCount(all - named)} more rows`] : []),
  ]
}
