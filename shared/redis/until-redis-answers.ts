import { setTimeout as sleep } from 'node:timers/promises'

/** The worker is stopping; its work continues after the next start. */
export class Interrupted extends Error {}

const retryMs = 1_000

/**
 * Asks Redis until it answers. An operation waits for a Redis that is full or read-only as it does for one that is away: none
 * of these is a fault of the operation. @throws Interrupted when the worker is to stop
 */
export async function untilRedisAnswers<T>(stopping: AbortSignal, ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch {
      if (stopping.aborted) throw new Interrupted()
      await sleep(retryMs)
    }
  }
}
