import type { Logger } from 'pino'
import type { Timings } from '#shared/host.ts'
import type { StepState } from '#shared/operation.ts'
import type { FillReport, OperationReport } from '#shared/report.ts'
import { fillWorld } from '../plans/steps/fill-world.ts'

type Deps = { write(timings: Timings): Promise<unknown>; log: Pick<Logger, 'warn'>; everyMs?: number }

const kept = 64
/** A jail of a ready world goes on at once; a longer `fill-world` has waited for a fill. */
const readyWithinMs = 1_000

/**
 * How long steps took on this host, by world: the last ones of operations that succeeded. Written when that changes, at
 * most every `everyMs`, 5 s unless said.
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
    lastWriteMs = Date.now()
    try {
      await write(now)
      written = text
    } catch (error) {
      log.warn({ err: error }, 'how long steps took could not be written')
      writeSoon()
    }
  }

  function writeSoon(): void {
    timer ??= setTimeout(writeChanges, Math.max(0, lastWriteMs + everyMs - Date.now())).unref()
  }

  return {
    /** Takes up the steps of an operation that has ended; only one that succeeded says how long they take. */
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

/** The smallest duration that a share of all is not above. */
function quantile(all: number[], share: number): number {
  return all.toSorted((a, b) => a - b)[Math.ceil(share * all.length) - 1] ?? 0
}
