import type { Answer } from './fleet/client.ts'

/** One request as its caller knows it: asked until it was answered, always under one key. */
export type Asked = { key: string; method: string; path: string; body?: object; jail?: string; answer?: Answer }

export type Ledger = ReturnType<typeof makeLedger>

/** What the callers of a trial asked for and were told. */
export function makeLedger() {
  const asked: Asked[] = []
  let checked = 0
  const lastOf = new Map<string, string>()
  /** Operations that were made without a key: those that clean a host. */
  const unkeyed = new Set<string>()
  const operationOf = ({ answer }: Asked): string | undefined => answer?.body?.operation?.id
  const batchOf = ({ answer }: Asked): string | undefined => answer?.body?.batch?.id

  return {
    asked,
    /** The id of what a request made. */
    madeBy: (entry: Asked) => operationOf(entry) ?? batchOf(entry),
    unkeyed,
    begin(asking: Omit<Asked, 'key'>): Asked {
      const entry = { key: `key-${asked.length}`, ...asking }
      asked.push(entry)
      return entry
    },
    end(entry: Asked, answer: Answer): void {
      entry.answer = answer
      const operation = operationOf(entry)
      if (entry.jail && operation) lastOf.set(entry.jail, operation)
    },
    /** The last operation of a jail that a caller heard of. */
    lastOf: (jail: string) => lastOf.get(jail),
    /** The requests answered with 202 since this was asked last. */
    takeAccepted(): Asked[] {
      const taken = asked.slice(checked).filter(({ answer }) => answer?.status === 202)
      checked = asked.length
      return taken
    },
    /** All batches that callers were promised. */
    batches: () => [...new Set(asked.flatMap((entry) => batchOf(entry) ?? []))],
    /** All operations that callers were promised. */
    accepted: () => [...new Set([...asked.flatMap((entry) => operationOf(entry) ?? []), ...unkeyed])],
  }
}
