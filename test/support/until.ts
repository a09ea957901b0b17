import { setTimeout as sleep } from 'node:timers/promises'

const pollMs = 20

/** What `look` gives, as soon as it gives something. @throws Error once the time is up. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false>, withinMs = 20_000): Promise<T> {
  const deadline = Date.now() + withinMs
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (Date.now() > deadline) throw new Error(`Waited ${withinMs} ms in vain for ${what}.`)
    await sleep(pollMs)
  }
}
