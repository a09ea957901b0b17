import type { QueueKind } from '#shared/redis/queues.ts'

/** Who asks for a slot: somebody who waits for one jail, or a batch. */
export type Asking = 'interactive' | 'batch'

/** Returns slots for the jobs of each queue; those of the queue `stop` need none. */
export function makeQueueSlots(counts: { build: number; start: number }) {
  const builds = makeSlots(counts.build)
  const starts = makeSlots(counts.start)
  return {
    /** Waits for a slot. Returns what gives it back; undefined when none was taken. */
    take(queue: QueueKind, signal: AbortSignal): Promise<(() => void) | undefined> {
      switch (queue) {
        case 'build':
          return builds.take('interactive', signal)
        case 'batch-build':
          return builds.take('batch', signal)
        case 'start':
          return starts.take('interactive', signal)
        case 'batch-start':
          return starts.take('batch', signal)
        case 'stop':
          return Promise.resolve(undefined)
      }
    },
  }
}
export type QueueSlots = ReturnType<typeof makeQueueSlots>

type Waiter = { grant(): void }

/**
 * Returns `count` slots. Interactive jobs always get the next free one first, and batches never have all of them, unless there
 * is only one.
 */
export function makeSlots(count: number) {
  const mostOfBatches = Math.max(1, count - 1)
  const taken = { interactive: 0, batch: 0 }
  const waiting = { interactive: new Set<Waiter>(), batch: new Set<Waiter>() }

  function nextToGrant(): Asking | undefined {
    if (taken.interactive + taken.batch >= count) return undefined
    if (waiting.interactive.size > 0) return 'interactive'
    return waiting.batch.size > 0 && taken.batch < mostOfBatches ? 'batch' : undefined
  }

  function grantFree(): void {
    for (let asking = nextToGrant(); asking; asking = nextToGrant()) {
      const [first] = waiting[asking]
      if (first) waiting[asking].delete(first)
      taken[asking] += 1
      first?.grant()
    }
  }

  return {
    /** Waits for a slot. Returns what gives it back; undefined when `signal` ended the wait. */
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
          let isTaken = true
          resolve(() => {
            if (!isTaken) return
            isTaken = false
            taken[asking] -= 1
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
