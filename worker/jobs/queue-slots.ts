import type { QueueKind } from '#shared/redis/queues.ts'
import { makeSlots } from '../jails/slots.ts'

/** Returns slots for the jobs of each queue; those of the queue `stop` need none. */
export function makeQueueSlots(counts: { build: number; start: number }) {
  const builds = makeSlots(counts.build)
  const starts = makeSlots(counts.start)
  return {
    /** Waits for a slot. Returns what gives it back; undefined when none was taken. */
    take(queue: QueueKind, client: string, signal: AbortSignal): Promise<(() => void) | undefined> {
      switch (queue) {
        case 'build':
          return builds.take('interactive', client, signal)
        case 'batch-build':
          return builds.take('batch', client, signal)
        case 'start':
          return starts.take('interactive', client, signal)
        case 'batch-start':
          return starts.take('batch', client, signal)
        case 'stop':
          return Promise.resolve(undefined)
      }
    },
  }
}
export type QueueSlots = ReturnType<typeof makeQueueSlots>
