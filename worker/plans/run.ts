import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { JailJob, Job } from '#shared/job.ts'
import type { RetryPolicy } from '#shared/process/retry-policy.ts'
import type { FillReport, OperationReport } from '#shared/report.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import type { Journal } from '../journal/journal.ts'
import type { Mark } from '../journal/runs.ts'
import type { Asker, WorldStore } from '../worlds/world-store.ts'
import { type Recorded, whyNotWanted } from './not-wanted.ts'
import type { OperationLog } from './operation-log.ts'
import { type Plan, planOf, stepsOf } from './plans.ts'
import { describeError, operationReporter } from './report-progress.ts'
import type { Pause } from './steps/pause.ts'
import type { StepContext } from './steps/step.ts'

/** What became of one job's share of an operation. */
export type Outcome =
  | { type: 'ended'; report: OperationReport | FillReport }
  /** This job's part is done; the operation's next job goes on. */
  | { type: 'handed-over' }
  /** `progress` takes the fractions of what it waits for. */
  | { type: 'paused'; pause: Pause; progress?(fraction: number): void }
  /** The worker is stopping: the same job goes on after it has started again. */
  | { type: 'interrupted' }

/** What all runs of a worker share. What asks Redis does so until it answers, and throws `Interrupted` when the worker stops. */
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
  /** Waits while somebody waits for another operation: before each step of a batch's. */
  giveWay(signal: AbortSignal): Promise<void>
  /** Sends a report once: the next one is as whole. */
  send(report: OperationReport): Promise<void>
  /** Sends the last report of an operation until Redis has it. */
  deliver(report: OperationReport): Promise<void>
  recorded(job: Job): Promise<Recorded>
  /** The compare-and-set after which the operation can no longer be moved to another host. False: it was moved. */
  bind(job: JailJob): Promise<boolean>
  /** Aborted when the worker stops: no further step begins. */
  stopping: AbortSignal
  retry: RetryPolicy
}

/** One pickup of an operation: its plan, its place in the journal, and what it reports. */
export type Run = Awaited<ReturnType<typeof beginRun>>

/** @throws ProvostError `unknown_plan`. */
export async function beginRun(job: JailJob, log: OperationLog, cancel: AbortSignal, deps: RunDeps) {
  const { journal } = deps
  const plan = knownPlan(job, deps.plans)
  const operation = await journal.beginRun(job, await deps.host.bootId())
  const steps = stepsOf(plan)
  const reporter = operationReporter(job, operation, steps, deps.send)
  const asker = { operation: askerOf(job), record: log.record }
  // What only goes forward cannot be ended within a step: the notice may have been on its way when the plan began.
  const heeded = plan.undoes === 'nothing' ? new AbortController().signal : cancel
  /** Marks that are not in the journal yet. */
  let marks: Mark[] = []

  return {
    ...{ job, plan, steps, operation, reporter, log, asker, cancel: heeded, deps },
    /** Whether anything was begun on the host. */
    hasBegun: () => operation.steps.size + marks.length > 0,
    /** Goes into the journal with the next mark, in one flush. */
    markLater: (mark: Mark) => void marks.push(mark),
    async mark(...more: Mark[]): Promise<void> {
      marks.push(...more)
      if (marks.length > 0) await journal.mark(operation, marks)
      marks = []
    },
    /** Before anything is undone: a worker that is killed meanwhile must not have the next one go forward. */
    async beginUndo(error: ProvostError, step: string | null): Promise<void> {
      const failed = reporter.hasFailed(step)
      const why = { error: describeError(error, step), failed, percent: reporter.said('percent') }
      // On a full disk it is undoing that makes room.
      await journal.beginUndo(operation, why, marks).catch((thrown) => log.note(toProvostError(thrown).message))
      marks = []
    },
    /** Goes no further here, in order. */
    async leave(): Promise<void> {
      await journal.leaveRun(operation, marks)
      marks = []
    },
    /** @throws ProvostError why the operation is not to go on, if so. What only goes forward is not asked once it has begun. */
    async throwUnlessWanted(): Promise<void> {
      if (plan.undoes === 'nothing' && operation.steps.size > 0) return
      if (cancel.aborted) throw toProvostError(cancel.reason)
      const why = whyNotWanted(job, await deps.recorded(job))
      if (why) throw why
    },
    contextOf: (signal: AbortSignal): StepContext => ({
      ...{ host: deps.host, worlds: deps.worlds, jail: job.jail, asker, signal, learn: reporter.learn },
    }),
  }
}

function knownPlan({ kind, plan }: JailJob, known: readonly number[]): Plan {
  const found = planOf(kind, plan, known)
  if (!found) throw new ProvostError('unknown_plan', `This worker does not know plan ${kind} in version ${plan}.`)
  return found
}

export const isOfBatch = ({ origin }: JailJob): boolean => origin?.batch !== undefined

/** Who asks for a world on behalf of a job. A retry is another one: it does not hear of a failure before it. */
export function askerOf({ operation, attempt }: Pick<JailJob, 'operation' | 'attempt'>): Asker['operation'] {
  return `${operation}/${attempt}`
}
