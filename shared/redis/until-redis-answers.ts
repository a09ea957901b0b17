import { setTimeout as sleep } from 'node:timers/promises'

/** The worker is stopping: what it was at goes on after its next start. */
export class Interrupted extends Error {}

const againMs = 1_000

/**
 * Asks Redis until it answers. One that is full, or only read from, is no fault of the operation that asks: it waits, as it
 * does for one that is away. @throws Interrupted when the worker is to stop meanwhile.
 */
export async function untilRedisAnswers<T>(stopping: AbortSignal, ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch {
      if (stopping.aborted) throw new Interrupted()
      await sleep(againMs)
    }
  }
}
