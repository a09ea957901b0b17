/** Who asks for a slot: somebody who waits for one jail, or a batch. */
export type Asking = 'interactive' | 'batch'

type Waiter = { grant(): void }

/**
 * A gate of `count` slots. Who is interactive always gets the next free one first, and batches never hold all of them,
 * unless there is but one.
 */
export function makeSlots(count: number) {
  const mostOfBatches = Math.max(1, count - 1)
  const held = { interactive: 0, batch: 0 }
  const waiting = { interactive: new Set<Waiter>(), batch: new Set<Waiter>() }

  function nextToGrant(): Asking | undefined {
    if (held.interactive + held.batch >= count) return undefined
    if (waiting.interactive.size > 0) return 'interactive'
    return waiting.batch.size > 0 && held.batch < mostOfBatches ? 'batch' : undefined
  }

  function grantFree(): void {
    for (let asking = nextToGrant(); asking; asking = nextToGrant()) {
      const [first] = waiting[asking]
      if (first) waiting[asking].delete(first)
      held[asking] += 1
      first?.grant()
    }
  }

  return {
    /** Waits for a slot. Gives what gives it back, or undefined when `signal` ended the wait. */
    take(asking: Asking, signal: AbortSignal): Promise<(() => void) | undefined> {
      const { promise, resolve } = Promise.withResolvers<(() => void) | undefined>()
      if (signal.aborted) return Promise.resolve(undefined)
      const giveUp = () => {
        waiting[asking].delete(waiter)
        resolve(undefined)
      }
      const waiter: Waiter = {
        grant() {
          signal.removeEventListener('abort', giveUp)
          let isHeld = true
          resolve(() => {
            if (!isHeld) return
            isHeld = false
            held[asking] -= 1
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
