/** Who asks for a slot: somebody who waits for one jail, or a batch. */
export type Asking = 'interactive' | 'batch'

type Waiter = { client: string; grant(): void }

/**
 * Returns `count` slots. Interactive jobs always get the next free one first, and batches never have all of them, unless there
 * is only one. Among those who wait alike it goes to the client who has the fewest now, then to who came first.
 */
export function makeSlots(count: number) {
  const mostOfBatches = Math.max(1, count - 1)
  const taken = { interactive: 0, batch: 0 }
  const waiting = { interactive: new Set<Waiter>(), batch: new Set<Waiter>() }
  const held = new Map<string, number>()
  const heldBy = ({ client }: Waiter) => held.get(client) ?? 0

  function nextToGrant(): Asking | undefined {
    if (taken.interactive + taken.batch >= count) return undefined
    if (waiting.interactive.size > 0) return 'interactive'
    return waiting.batch.size > 0 && taken.batch < mostOfBatches ? 'batch' : undefined
  }

  function grantFree(): void {
    for (let asking = nextToGrant(); asking; asking = nextToGrant()) {
      const [first, ...others] = waiting[asking]
      if (!first) return
      const next = others.reduce((best, each) => (heldBy(each) < heldBy(best) ? each : best), first)
      waiting[asking].delete(next)
      taken[asking] += 1
      held.set(next.client, heldBy(next) + 1)
      next.grant()
    }
  }

  return {
    /** Waits for a slot. Returns what gives it back; undefined when `signal` ended the wait. */
    take(asking: Asking, client: string, signal: AbortSignal): Promise<(() => void) | undefined> {
      const { promise, resolve } = Promise.withResolvers<(() => void) | undefined>()
      if (signal.aborted) return Promise.resolve(undefined)
      const giveUp = () => {
        waiting[asking].delete(waiter)
        resolve(undefined)
      }
      const waiter: Waiter = {
        client,
        grant() {
          signal.removeEventListener('abort', giveUp)
          let isTaken = true
          resolve(() => {
            if (!isTaken) return
            isTaken = false
            taken[asking] -= 1
            const left = heldBy(waiter) - 1
            if (left > 0) held.set(client, left)
            else held.delete(client)
            grantFree()
          })
        },
      }
      signal.addEventListener('abort', giveUp, { once: true })
      waiting[asking].add(waiter)
      grantFree()
      return promise
    },
  }
}
