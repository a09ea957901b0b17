import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Returns what puts an operation that somebody waits for before those of batches: while one runs, those of batches begin no
 * further step, each for `mostMs` at most, so that a batch goes on however many others there are.
 */
export function makePrecedence(mostMs: number) {
  let atWork = 0
  let quiet = Promise.withResolvers<void>()

  return {
    /** Runs the work of somebody who waits for it. */
    async first<T>(work: () => Promise<T>): Promise<T> {
      if (atWork === 0) quiet = Promise.withResolvers()
      atWork += 1
      try {
        return await work()
      } finally {
        atWork -= 1
        if (atWork === 0) quiet.resolve()
      }
    },
    /** Waits while such work runs, for `mostMs` at most or until `signal` ends it. */
    async waitForOthers(signal: AbortSignal): Promise<void> {
      if (atWork === 0) return
      const enough = new AbortController()
      await Promise.race([quiet.promise, sleep(mostMs, undefined, { signal: AbortSignal.any([signal, enough.signal]) })]).catch(
        () => undefined,
      )
      enough.abort()
    },
  }
}
