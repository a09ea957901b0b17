import { ProvostError } from '#shared/errors.ts'
import type { JailJob, Job } from '#shared/job.ts'
import type { RetryPolicy } from '#shared/process/retry-policy.ts'
import type { FillReport, OperationReport } from '#shared/report.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import type { JournaledOperation } from '../journal/entries.ts'
import type { Journal, Mark } from '../journal/journal.ts'
import type { WorldStore } from '../worlds/world-store.ts'
import type { OperationLog } from './operation-log.ts'
import type { Pause } from './pause.ts'
import { type Plan, planOf, stepsOf } from './plans.ts'
import type { Standing } from './read-record.ts'
import { operationReporter, type Reporter } from './report-progress.ts'
import type { Step } from './step.ts'

/** What became of one job's share of an operation. */
export type Outcome =
  | { type: 'ended'; report: OperationReport | FillReport }
  /** This job's part is done; the operation's next job goes on. */
  | { type: 'handed-over' }
  /** `progress` takes the fractions of what it waits for. */
  | { type: 'paused'; pause: Pause; progress?(fraction: number): void }
  /** The worker is stopping: the same job goes on after it has started again. */
  | { type: 'interrupted' }

export type RunDeps = {
  host: HostRuntime
  worlds: WorldStore
  journal: Journal
  /** The plan versions that this worker knows. */
  plans: readonly number[]
  /** Runs `work` while nobody else works on the jail. */
  withJail<T>(name: string, work: () => Promise<T>): Promise<T>
  /** Runs `work` while no other operation is at work that may kill the worker. */
  withSuspect<T>(work: () => Promise<T>): Promise<T>
  /** Before each step of a batch's operation: waits while somebody waits for another one. */
  giveWay(signal: AbortSignal): Promise<void>
  send(report: OperationReport): Promise<void>
  standing(job: Job): Promise<Standing>
  /** The compare-and-set after which the operation can no longer be moved to another host. False: it was moved. */
  bind(job: JailJob): Promise<boolean>
  /** Aborted when the worker stops: no further step begins. */
  stopping: AbortSignal
  retry: RetryPolicy
}

/** One pickup of an operation. */
export type Run = {
  job: JailJob
  plan: Plan
  steps: Step[]
  operation: JournaledOperation
  reporter: Reporter
  log: OperationLog
  cancel: AbortSignal
  deps: RunDeps
  /** Marks that are not in the journal yet: they go with the next one, in one flush. */
  marks: Mark[]
}

/** @throws ProvostError `unknown_plan`. */
export async function beginRun(job: JailJob, log: OperationLog, cancel: AbortSignal, deps: RunDeps): Promise<Run> {
  const plan = planOf(job.kind, job.plan, deps.plans)
  if (!plan) throw new ProvostError('unknown_plan', `This worker does not know plan ${job.kind} in version ${job.plan}.`)
  const operation = await deps.journal.beginRun(job, await deps.host.bootId())
  const steps = stepsOf(plan)
  const reporter = operationReporter(job, operation, steps, deps.send)
  // What only goes forward cannot be ended within a step: the notice may have been on its way when the plan began.
  const heeded = plan.undoes === 'nothing' ? new AbortController().signal : cancel
  return { job, plan, steps, operation, reporter, log, cancel: heeded, deps, marks: [] }
}

export async function flushMarks(run: Run, ...more: Run['marks']): Promise<void> {
  run.marks.push(...more)
  if (run.marks.length > 0) await run.deps.journal.mark(run.operation, run.marks)
  run.marks = []
}

/** A run goes no further here, in order. */
export async function leaveRun(run: Run): Promise<void> {
  await run.deps.journal.leaveRun(run.operation, run.marks)
  run.marks = []
}

export function movedAway({ operation, host }: Pick<JailJob, 'operation' | 'host'>): ProvostError {
  return new ProvostError('moved_away', `Operation ${operation} was moved away from host ${host}.`)
}

export function endedElsewhere({ operation, host }: Pick<JailJob, 'operation' | 'host'>): ProvostError {
  return new ProvostError('ended_elsewhere', `Operation ${operation} was ended without host ${host}, which comes too late.`)
}

/** Why an operation is not to go on; undefined when it is. */
export function whyNotWanted(job: Pick<JailJob, 'operation' | 'host'>, { moved, ended, cancelled }: Standing) {
  if (moved) return movedAway(job)
  if (ended) return endedElsewhere(job)
  return cancelled ? new ProvostError('cancelled', 'The operation was cancelled.') : undefined
}

export const isOfBatch = ({ origin }: JailJob): boolean => origin?.batch !== undefined

/** Who asks for a world on behalf of a job. A retry is another one: it does not hear of a failure before it. */
export function askerOf({ operation, attempt }: Pick<JailJob, 'operation' | 'attempt'>): string {
  return `${operation}/${attempt}`
}
