import { setTimeout as wait } from 'node:timers/promises'

const pollMs = 10

/** Asks until `condition` holds. @throws Error when it does not within the time. */
export async function waitUntil(condition: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Not within ${withinMs} ms: ${condition}`)
    await wait(pollMs)
  }
}
