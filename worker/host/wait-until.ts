import { setTimeout as wait } from 'node:timers/promises'

const defaultPollMs = 5

/** Polls until `condition` is true; returns false when it is not in time. @throws the reason of `signal` */
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
