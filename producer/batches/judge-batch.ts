import type { BatchStatus } from '#shared/batch.ts'
import type { BatchRecord } from '../records/batches/batch-record.ts'

/** A failure rate is judged only once so many rows have ended. */
const fewestForRate = 10

/** What a batch does next: it ends, pauses by itself, or goes on with its rows up to number `upTo`. */
type Verdict =
  | { type: 'ends'; status: BatchStatus }
  | { type: 'pauses'; reason: string }
  | { type: 'goes-on'; upTo: number; passesCanary: boolean }

function sinceText({ createdAt, resumedAt }: BatchRecord): string {
  return resumedAt === undefined ? `it was accepted at ${createdAt}` : `it was resumed at ${resumedAt}`
}

/** Judges a batch by its counters. `waiting`: its rows that were neither released nor ended. Pure. */
export function judgeBatch(batch: BatchRecord, waiting: number): Verdict {
  const { rows, queued, running, succeeded, failed, cancelled, canary, maxFailures, maxFailureRate, status } = batch
  const inFlight = queued + running - waiting
  if (queued + running === 0) {
    if (status === 'cancelled') return { type: 'ends', status }
    return { type: 'ends', status: failed > 0 ? 'failed' : cancelled > 0 ? 'cancelled' : 'succeeded' }
  }
  if (status === 'paused') return { type: 'goes-on', upTo: 0, passesCanary: false }
  // In a cancelled batch only rows that somebody wants to retry are waiting.
  if (status === 'cancelled') return { type: 'goes-on', upTo: rows, passesCanary: false }

  const isCanary = canary !== undefined && batch.canaryPassed === undefined && canary < rows
  if (isCanary && failed > maxFailures)
    return { type: 'pauses', reason: `canary: ${failed} of the first ${canary} rows failed, at most ${maxFailures} may` }
  const isCanaryOver = isCanary && inFlight === 0 && rows - waiting >= canary
  if (isCanary && !isCanaryOver) return { type: 'goes-on', upTo: canary, passesCanary: false }

  const ended = succeeded + failed - batch.endedBefore
  const failedSince = failed - batch.failedBefore
  if (maxFailureRate !== undefined && ended >= fewestForRate && failedSince / ended > maxFailureRate)
    return {
      type: 'pauses',
      reason: `${failedSince} of the ${ended} rows that ended since ${sinceText(batch)} failed, which is more than ${maxFailureRate} of them`,
    }
  return { type: 'goes-on', upTo: rows, passesCanary: isCanary }
}
