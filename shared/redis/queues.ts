import type { JobName } from '../job.ts'

/**
 * A host's queues. Builds and starts have slots of their own, and what takes a jail down never waits behind them. Those of a
 * batch have queues apart, so that they can be kept from the last slot.
 */
export type QueueKind = 'build' | 'batch-build' | 'start' | 'batch-start' | 'stop'

export const queueKinds = ['build', 'batch-build', 'start', 'batch-start', 'stop'] as const satisfies QueueKind[]

export function queueOf(job: JobName, isBatch: boolean): QueueKind {
  if (job === 'build') return isBatch ? 'batch-build' : 'build'
  if (job === 'fill') return 'build'
  if (job === 'start') return isBatch ? 'batch-start' : 'start'
  return 'stop'
}

/** The BullMQ name of a host's queue; with the host in it, since queue boards go by name alone. */
export function queueName(host: string, kind: QueueKind): string {
  return `${host}.${kind}`
}

/** No colon and not all digits, as BullMQ wants it. `wakeup` counts how often the operation was put into a queue. */
export function jobId(operation: string, wakeup: number, job: JobName): string {
  return `${operation}-${wakeup}-${job}`
}
