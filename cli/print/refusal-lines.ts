import type { Problem } from '../http/refusal.ts'
import { formatCount } from './amounts.ts'
import { rowErrorLines } from './row-error-lines.ts'

/** What was refused, the faulty fields and lines of a file, and what to do. */
export function refusalLines({ code, detail, hint, errors = [], more }: Problem): string[] {
  const inRows = errors.flatMap(({ line, ...error }) => (line === undefined ? [] : [{ line, ...error }]))
  return [
    code ? `${code}: ${detail}` : detail,
    ...errors.filter(({ line }) => line === undefined).map(({ field, message }) => `  ${field}: ${message}`),
    ...rowErrorLines(inRows).map((line) => `  ${line}`),
    ...(more ? [`  and ${formatCount(more)} more`] : []),
    ...(hint ? [`  what to do: ${hint}`] : []),
  ]
}
