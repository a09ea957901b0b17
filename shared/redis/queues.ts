import type { JobName } from '../job.ts'

/**
 * A host's queues. Builds and starts have slots of their own, so that stops and destroys never wait behind them. Builds and
 * starts of a batch have separate queues, so that they can be kept from the last slot.
 */
export const queueKinds = ['build', 'batch-build', 'start', 'batch-start', 'stop'] as const
export type QueueKind = (typeof queueKinds)[number]

export function queueOf(job: JobName, isBatch: boolean): QueueKind {
  switch (job) {
    case 'build':
      return isBatch ? 'batch-build' : 'build'
    case 'fill':
      return 'build'
    case 'start':
      return isBatch ? 'batch-start' : 'start'
    case 'stop':
    case 'restart':
    case 'destroy':
      return 'stop'
  }
}

/** The BullMQ name of a host's queue. It contains the host, since queue boards identify a queue by its name alone. */
export function queueName(host: string, kind: QueueKind): string {
  return `${host}.${kind}`
}

/** The BullMQ id of a job, without a colon and not all digits, as BullMQ requires. `wakeup` counts its enqueueings. */
export function jobId(operation: string, wakeup: number, job: JobName): string {
  return `${operation}-${wakeup}-${job}`
}
