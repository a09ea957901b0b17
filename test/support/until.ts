import { setTimeout as sleep } from 'node:timers/promises'
import { patience } from './patience.ts'

type Look<T> = () => T | undefined | false | Promise<T | undefined | false>

/** Polls until `look` returns something, and returns that. @throws Error that names `what` once the time, with patience, is up. */
export async function until<T>(what: string, look: Look<T>, withinMs = 20_000, pollMs = 20): Promise<T> {
  const deadline = Date.now() + withinMs * patience
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== false) return seen
    if (Date.now() > deadline) throw new Error(`Waited ${withinMs * patience} ms in vain for ${what}.`)
    await sleep(pollMs)
  }
}
