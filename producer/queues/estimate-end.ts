import type { Timings } from '#shared/host.ts'
import type { NewOperation } from '../records/operations/operation-record.ts'

/** Percentiles of a duration, in milliseconds or, as the result of an estimate, in seconds. */
export type Estimate = { p50: number; p90: number }

/** What is known about an operation beside its record. Milliseconds. */
type Circumstances = {
  world: string | undefined
  timings: Timings
  /** How many jobs are ahead of its own, for each slot. */
  jobsAhead: number
  /** How much of the fill that it waits for is still to do, 0 to 1; undefined if it waits for none. */
  fillLeft: number | undefined
  nowMs: number
}

/**
 * Estimates the seconds until an operation ends, from how long its host took before: for the jobs ahead, the fill it waits for,
 * and its own steps. Undefined without such a history. Pure.
 */
export function estimateEnd(operation: NewOperation, circumstances: Circumstances): Estimate | undefined {
  const { world, timings, jobsAhead, fillLeft, nowMs } = circumstances
  const known = world === undefined ? undefined : timings[world]
  if (!known) return undefined
  if (operation.kind === 'fill') return known['fill'] && toSeconds([scaled(known['fill'], fillLeft ?? 1)])
  const whole = known[operation.kind]
  if (!whole) return undefined
  const parts = [operation.steps.length === 0 ? whole : stepsLeft(operation, known, nowMs)]
  if (jobsAhead > 0) parts.push(scaled(known['clone-root'] ?? whole, jobsAhead))
  if (fillLeft !== undefined) {
    if (!known['fill']) return undefined
    parts.push(scaled(known['fill'], fillLeft))
  }
  return toSeconds(parts)
}

function stepsLeft({ steps }: NewOperation, known: Timings[string], nowMs: number): Estimate {
  const left = { p50: 0, p90: 0 }
  for (const { name, status, startedAt } of steps) {
    const step = known[name]
    if (!step || (status !== 'pending' && status !== 'running')) continue
    const elapsedMs = status === 'running' && startedAt ? nowMs - Date.parse(startedAt) : 0
    left.p50 += Math.max(0, step.p50 - elapsedMs)
    left.p90 += Math.max(0, step.p90 - elapsedMs)
  }
  return left
}

function scaled({ p50, p90 }: Estimate, factor: number): Estimate {
  return { p50: p50 * factor, p90: p90 * factor }
}

function toSeconds(parts: Estimate[]): Estimate {
  const sum = (of: (part: Estimate) => number) => Math.round(parts.reduce((ms, part) => ms + of(part), 0)) / 1000
  return { p50: sum(({ p50 }) => p50), p90: sum(({ p90 }) => p90) }
}
