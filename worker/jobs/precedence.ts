import { setTimeout as sleep } from 'node:timers/promises'

/**
 * An operation that somebody waits for comes before those of a batch: while one is at work, a batch's begin no further step, each
 * for `mostMs` at most, so that a batch goes on however many others there are.
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
    /** Waits while there is such work. */
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
