import type { Problem } from '../http/refusal.ts'

/** What was refused, which fields are at fault, and what to do. */
export function refusalLines({ code, detail, hint, errors }: Problem): string[] {
  return [
    code ? `${code}: ${detail}` : detail,
    ...(errors ?? []).map(({ field, message }) => `  ${field}: ${message}`),
    ...(hint ? [`  what to do: ${hint}`] : []),
  ]
}
