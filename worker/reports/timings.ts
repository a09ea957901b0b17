import type { Logger } from 'pino'
import type { Timings } from '#shared/host.ts'
import type { StepState } from '#shared/operation.ts'
import type { FillReport, OperationReport } from '#shared/report.ts'
import { fillWorld } from '../plans/steps/fill-world.ts'

type Deps = { write(timings: Timings): Promise<unknown>; log: Pick<Logger, 'warn'>; everyMs?: number }

const kept = 64
/** A `fill-world` that took longer has waited for a fill: with a ready world it ends at once. */
const readyWithinMs = 1_000

/**
 * Returns what keeps how long steps took on this host, by world: the last 64 of operations that succeeded. They are written
 * when they change, at most every `everyMs` milliseconds.
 */
export function makeTimings({ write, log, everyMs = 5_000 }: Deps) {
  const durations = new Map<string, Map<string, number[]>>()
  let written = ''
  let lastWriteMs = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined

  function add(world: string, step: string, durationMs: number): void {
    const steps = durations.get(world) ?? new Map<string, number[]>()
    durations.set(world, steps)
    steps.set(step, [...(steps.get(step) ?? []), durationMs].slice(-kept))
  }

  async function writeChanges(): Promise<void> {
    timer = undefined
    const now = summarize(durations)
    const text = JSON.stringify(now)
    if (text === written) return
    lastWriteMs = performance.now()
    try {
      await write(now)
      written = text
    } catch (error) {
      log.warn({ err: error }, 'how long steps took could not be written')
      writeSoon()
    }
  }

  function writeSoon(): void {
    timer ??= setTimeout(writeChanges, Math.max(0, lastWriteMs + everyMs - performance.now())).unref()
  }

  return {
    /** Notes the steps of an operation that has ended; those of one that did not succeed do not count. */
    note(report: OperationReport | FillReport): void {
      if (report.status !== 'succeeded' || report.world === undefined) return
      let wholeMs = 0
      for (const step of report.steps) {
        const durationMs = durationOf(step)
        if (durationMs === undefined) continue
        const isFill = step.name === fillWorld.name && durationMs >= readyWithinMs
        add(report.world, isFill ? 'fill' : step.name, durationMs)
        if (!isFill) wholeMs += durationMs
      }
      if (report.type === 'operation' && report.kind) add(report.world, report.kind, wholeMs)
      writeSoon()
    },
    name: 'timings',
    stop: () => clearTimeout(timer),
  }
}

function durationOf({ startedAt, finishedAt, status }: StepState): number | undefined {
  if (status !== 'succeeded' || startedAt === null || finishedAt === null) return undefined
  return Math.max(0, Date.parse(finishedAt) - Date.parse(startedAt))
}

function summarize(durations: Map<string, Map<string, number[]>>): Timings {
  return Object.fromEntries(
    [...durations].map(([world, steps]) => [
      world,
      Object.fromEntries([...steps].map(([step, all]) => [step, { p50: quantile(all, 0.5), p90: quantile(all, 0.9) }])),
    ]),
  )
}

/** Returns the smallest duration that a share of all does not exceed. */
function quantile(all: number[], share: number): number {
  return all.toSorted((a, b) => a - b)[Math.ceil(share * all.length) - 1] ?? 0
}
