import { setTimeout as wait } from 'node:timers/promises'

const defaultPollMs = 5

/** Asks until `condition` holds. Gives false when it does not within the time. @throws what ended `signal` */
export async function waitUntil(
  condition: () => Promise<boolean> | boolean,
  withinMs: number,
  signal?: AbortSignal,
  pollMs = defaultPollMs,
): Promise<boolean> {
  const deadline = performance.now() + withinMs
  while (!(await condition())) {
    if (performance.now() > deadline) return false
    await wait(pollMs)
    signal?.throwIfAborted()
  }
  return true
}
