import { type ProvostError, toProvostError } from '#shared/errors.ts'
import type { FillJob } from '#shared/job.ts'
import { Interrupted, untilRedisAnswers } from '#shared/redis/until-redis-answers.ts'
import type { FillReport } from '#shared/report.ts'
import type { OperationLog } from '../plans/operation-log.ts'
import { type Recorded, whyNotWanted } from '../plans/recorded.ts'
import { describeError, fillReporter, type Reporter } from '../plans/report-progress.ts'
import { askerOf, type Outcome } from '../plans/run.ts'
import { fillWorld } from '../plans/steps/fill-world.ts'
import { Pause } from '../plans/steps/pause.ts'
import type { Asker, WorldStore } from '../worlds/world-store.ts'

type Deps = {
  worlds: WorldStore
  send(report: FillReport): Promise<void>
  recorded(job: FillJob): Promise<Recorded>
  stopping: AbortSignal
}

type End = { status: 'succeeded' | 'failed' | 'cancelled'; error?: ProvostError }

export type RunFill = ReturnType<typeof makeRunFill>

/**
 * Returns what runs the job of an operation that makes a world: asks for the world, waits without a slot while it is filled,
 * and asks again. It is not journalled, since asking may be repeated.
 */
export function makeRunFill({ worlds, send, recorded, stopping }: Deps) {
  /** By attempt of an operation, until that ends: its next run goes on with the same one. */
  const reporters = new Map<string, Reporter<FillReport>>()

  /** Returns how the attempt ended, or what it waits for. */
  async function ask(job: FillJob, asker: Asker, reporter: Reporter<FillReport>, cancel: AbortSignal): Promise<End | Pause> {
    const now = await recorded(job)
    // The sequence comes from the clock, and the host may have set that back.
    reporter.learn({ sequence: Math.max(reporter.current('sequence'), now.sequence ?? 0) })
    const why = whyNotWanted(job, now)
    if (why || cancel.aborted) {
      worlds.leave(job.world, asker.operation)
      return { status: 'cancelled', error: why ?? toProvostError(cancel.reason) }
    }
    if (stopping.aborted) throw new Interrupted()
    reporter.step(fillWorld, 'running', 1)
    try {
      const fill = worlds.fill(job.world, asker)
      if (!fill) return { status: 'succeeded' }
      return new Pause(`fill of world ${job.world.name}`, { until: fill.done, onProgress: fill.onProgress })
    } catch (thrown) {
      return { status: 'failed', error: toProvostError(thrown) }
    }
  }

  async function end({ status, error }: End, reporter: Reporter<FillReport>): Promise<FillReport> {
    if (status === 'cancelled') reporter.abandon()
    else reporter.step(fillWorld, status, 1)
    const step = status === 'succeeded' ? null : reporter.current('step')
    const report = reporter.next({ status, step, ...(error ? { error: describeError(error, step) } : {}) })
    await untilRedisAnswers(stopping, () => send(report))
    return report
  }

  return async function runFill(job: FillJob, log: OperationLog, cancel: AbortSignal): Promise<Outcome> {
    const asker = { operation: askerOf(job), record: log.record }
    const reporter = reporters.get(asker.operation) ?? fillReporter(job, fillWorld, send)
    reporters.set(asker.operation, reporter)
    try {
      const answer = await ask(job, asker, reporter, cancel)
      if (answer instanceof Pause) {
        reporter.send()
        return { type: 'paused', pause: answer, progress: reporter.progress }
      }
      reporters.delete(asker.operation)
      return { type: 'ended', report: await end(answer, reporter) }
    } catch (thrown) {
      if (thrown instanceof Interrupted) return { type: 'interrupted' }
      throw thrown
    }
  }
}
