import type { JailJob, Job, JobName } from '#shared/job.ts'
import type { OperationReport } from '#shared/report.ts'
import type { OperationLog } from '../plans/operation-log.ts'
import { isOfBatch, type Outcome, type RunDeps } from '../plans/run.ts'
import { runPlan } from '../plans/run-plan.ts'
import type { makeTimings } from '../reports/timings.ts'
import type { RunFill } from './run-fill.ts'

export type JobDeps = {
  runDeps: RunDeps
  runFill: RunFill
  /** Runs what somebody waits for, before the operations of batches. */
  first<T>(work: () => Promise<T>): Promise<T>
  timings: Pick<ReturnType<typeof makeTimings>, 'note'>
  /** Called when an operation on a jail has ended. */
  ended(report: OperationReport): void
}

/** Runs a job of either kind, and does what follows the end of its operation on this host. */
export async function runJob(job: Job, name: JobName, log: OperationLog, cancel: AbortSignal, deps: JobDeps): Promise<Outcome> {
  const outcome = job.kind === 'fill' ? await deps.runFill(job, log, cancel) : await runOnJail(job, name, log, cancel, deps)
  if (outcome.type !== 'ended') return outcome
  deps.timings.note(outcome.report)
  if (outcome.report.type === 'operation') deps.ended(outcome.report)
  return outcome
}

function runOnJail(job: JailJob, name: JobName, log: OperationLog, cancel: AbortSignal, deps: JobDeps): Promise<Outcome> {
  const work = () => runPlan(job, name, log, cancel, deps.runDeps)
  return isOfBatch(job) ? work() : deps.first(work)
}
