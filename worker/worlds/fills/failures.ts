import type { ProvostError } from '#shared/errors.ts'
import type { Timers } from './timers.ts'

/** How long a failure is kept for an operation that waited for the fill and has not asked again. */
const failureKeptMs = 600_000

/** Returns what keeps the failure of a fill for the operations that waited for it. */
export function makeFailures(timers: Timers) {
  const failures = new Map<string, ProvostError>()
  return {
    note(operations: string[], error: ProvostError): void {
      for (const operation of operations) {
        failures.set(operation, error)
        timers.after(failureKeptMs, () => failures.get(operation) === error && failures.delete(operation))
      }
    },
    /** @throws ProvostError the failure of an operation's fill, once */
    raise(operation: string): void {
      const failure = failures.get(operation)
      failures.delete(operation)
      if (failure) throw failure
    },
    forget: (operation: string) => void failures.delete(operation),
  }
}
