import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { JailJob, Job } from '#shared/job.ts'
import type { RetryPolicy } from '#shared/process/retry-policy.ts'
import type { FillReport, OperationReport } from '#shared/report.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import type { Journal } from '../journal/journal.ts'
import { neighboursOf } from '../journal/neighbours.ts'
import type { Mark } from '../journal/runs.ts'
import type { Asker, WorldStore } from '../worlds/world-store.ts'
import type { OperationLog } from './operation-log.ts'
import { planOf, stepsOf } from './plans.ts'
import type { Binding } from './read-record.ts'
import { type Recorded, whyNotWanted } from './recorded.ts'
import { describeError, operationReporter } from './report-progress.ts'
import type { Pause } from './steps/pause.ts'
import type { StepContext } from './steps/step.ts'

/** What became of one job's share of an operation. */
export type Outcome =
  | { type: 'ended'; report: OperationReport | FillReport }
  /** This job's part is done; the operation's next job has the rest. */
  | { type: 'handed-over' }
  /** `progress` is called with the fractions of what it waits for. */
  | { type: 'paused'; pause: Pause; progress?(fraction: number): void }
  /** The worker is stopping: the same job goes on after the next start. */
  | { type: 'interrupted' }

/** Which work this is, where it matters to others: work of the background `yields` to that of a job, which `comes` for the jail. */
export type Precedence = { yields?: AbortController; comes?: Error }

export type WithJail = <T>(name: string, work: () => Promise<T>, precedence?: Precedence) => Promise<T>

/**
 * What all runs of a worker share. `deliver`, `recorded` and `bind` ask Redis until it answers.
 * @throws Interrupted when the worker stops meanwhile.
 */
export type RunDeps = {
  host: HostRuntime
  worlds: WorldStore
  journal: Journal
  /** The plan versions that this worker knows. */
  plans: readonly number[]
  /** Runs `work` while nobody else works on the jail. */
  withJail: WithJail
  /** Runs `work` while no other operation runs that may kill the worker. */
  withSuspect<T>(work: () => Promise<T>): Promise<T>
  /** Called before each step of a batch's operation: waits while operations run that somebody waits for. */
  waitForOthers(signal: AbortSignal): Promise<void>
  /** Sends a report once: the next one is whole, too. */
  send(report: OperationReport): Promise<void>
  /** Sends the last report of an operation, again and again until Redis has it. */
  deliver(report: OperationReport): Promise<void>
  recorded(job: Job): Promise<Recorded>
  /** Binds the operation to this host, after which it cannot be moved. */
  bind(job: JailJob): Promise<Binding>
  /** Aborted when the worker stops: no further step begins. */
  stopping: AbortSignal
  retry: RetryPolicy
  /** Called when the disk has no room for a note. Returns whether some was made, for what frees more. */
  diskFull(job: JailJob): boolean
}

/** One pickup of an operation: its plan, its place in the journal, and what it reports. */
export type Run = Awaited<ReturnType<typeof beginRun>>

/** @throws ProvostError `unknown_plan`. */
export async function beginRun(job: JailJob, log: OperationLog, cancel: AbortSignal, deps: RunDeps) {
  const { journal } = deps
  const plan = planOf(job.kind, job.plan, deps.plans)
  if (!plan) throw new ProvostError('unknown_plan', `This worker does not know plan ${job.kind} in version ${job.plan}.`)
  const operation = await journal.beginRun(job, await deps.host.bootId())
  const steps = stepsOf(plan)
  const reporter = operationReporter(job, operation, steps, deps.send)
  const asker = { operation: askerOf(job), record: log.record }
  // A plan that only goes forward cannot be cancelled within a step: the notice may have been on its way when it began.
  const signal = plan.undoes === 'nothing' ? new AbortController().signal : cancel
  /** Marks that are not in the journal yet. */
  let marks: Mark[] = []

  return {
    ...{ job, plan, steps, operation, reporter, log, asker, cancel: signal, deps },
    /** Whether any step was begun on the host. */
    hasBegun: () => operation.steps.size + marks.length > 0,
    /** Goes into the journal with the next mark, in one flush. */
    markLater: (mark: Mark) => void marks.push(mark),
    async mark(...more: Mark[]): Promise<void> {
      marks.push(...more)
      if (marks.length > 0) await journal.mark(operation, marks)
      marks = []
    },
    /** Called before anything is undone: should this worker be killed, the next one must not go forward. */
    async beginUndo(error: ProvostError, step: string | null): Promise<void> {
      const failed = reporter.hasFailed(step)
      const why = { error: describeError(error, step), failed, percent: reporter.current('percent') }
      // On a full disk it is undoing that makes room.
      await journal.beginUndo(operation, why, marks).catch((thrown) => log.note(toProvostError(thrown).message))
      marks = []
    },
    /** Notes that the run ends here in order, not with its worker. */
    async leave(): Promise<void> {
      await journal.leaveRun(operation, marks)
      marks = []
    },
    /** @throws ProvostError why the operation must not go on. A plan that only goes forward always may once it has begun. */
    async throwUnlessWanted(): Promise<void> {
      if (plan.undoes === 'nothing' && operation.steps.size > 0) return
      if (cancel.aborted) throw toProvostError(cancel.reason)
      const why = whyNotWanted(job, await deps.recorded(job))
      if (why) throw why
    },
    contextOf: (signal: AbortSignal): StepContext => ({
      ...{ host: deps.host, worlds: deps.worlds, jail: job.jail, asker, signal, learn: reporter.learn },
      neighbours: neighboursOf(journal, job.jail),
    }),
  }
}

export const isOfBatch = ({ origin }: JailJob): boolean => origin?.batch !== undefined

/** Returns who asks for a world for a job. A retry is another asker: the failure of an earlier attempt is not its own. */
export function askerOf({ operation, attempt }: Pick<JailJob, 'operation' | 'attempt'>): Asker['operation'] {
  return `${operation}/${attempt}`
}
