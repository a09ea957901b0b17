import type { JailJob, Job, JobName } from '#shared/job.ts'
import type { OperationReport } from '#shared/report.ts'
import type { OperationLog } from '../plans/operation-log.ts'
import { isOfBatch, type Outcome, type RunDeps } from '../plans/run.ts'
import { runPlan } from '../plans/run-plan.ts'
import type { makeTimings } from '../reports/timings.ts'
import type { RunFill } from './run-fill.ts'

type Deps = {
  runDeps: RunDeps
  runFill: RunFill
  /** Runs what somebody waits for, before what a batch asks for. */
  first<T>(work: () => Promise<T>): Promise<T>
  timings: Pick<ReturnType<typeof makeTimings>, 'note'>
  /** Called when an operation on a jail has ended. */
  ended(report: OperationReport): void
}

/** Returns what runs a job of either sort, and what follows the end of its operation on this host. */
export function makeRunJob({ runDeps, runFill, first, timings, ended }: Deps) {
  function runOnJail(job: JailJob, name: JobName, log: OperationLog, cancel: AbortSignal): Promise<Outcome> {
    const work = () => runPlan(job, name, log, cancel, runDeps)
    return isOfBatch(job) ? work() : first(work)
  }

  return async (job: Job, name: JobName, log: OperationLog, cancel: AbortSignal): Promise<Outcome> => {
    const outcome = job.kind === 'fill' ? await runFill(job, log, cancel) : await runOnJail(job, name, log, cancel)
    if (outcome.type !== 'ended') return outcome
    timings.note(outcome.report)
    if (outcome.report.type === 'operation') ended(outcome.report)
    return outcome
  }
}
