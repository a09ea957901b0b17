import type { Problem } from '../http/refusal.ts'
import { formatCount } from './amounts.ts'
import { cliHint } from './cli-hint.ts'
import { causeOfFaultLines, rowErrorLines } from './row-error-lines.ts'

/** What was refused, the faulty fields and lines of a file, and what to do. */
export function refusalLines({ code, detail, hint, errors = [], more, causes = [] }: Problem): string[] {
  const inRows = errors.flatMap(({ line, ...error }) => (line === undefined ? [] : [{ line, ...error }]))
  return [
    code ? `${code}: ${detail}` : detail,
    ...errors.filter(({ line }) => line === undefined).map(({ field, message }) => `  ${field}: ${message}`),
    ...(causes.length > 0 ? causeOfFaultLines(causes) : rowErrorLines(inRows)).map((line) => `  ${line}`),
    ...(more && causes.length === 0 ? [`  and ${formatCount(more)} more`] : []),
    ...(hint ? [`  what to do: ${cliHint(hint)}`] : []),
  ]
}
