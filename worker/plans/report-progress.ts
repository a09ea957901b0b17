import { capped } from '#shared/capped.ts'
import type { ProvostError } from '#shared/errors.ts'
import type { FillJob, JailJob, Job } from '#shared/job.ts'
import type { OperationError, StepState } from '#shared/operation.ts'
import { fleetTime, fleetTimeMs } from '#shared/redis/fleet-clock.ts'
import type { FillReport, OperationReport } from '#shared/report.ts'
import type { JournaledOperation } from '../journal/entries.ts'
import type { Step } from './steps/step.ts'

type AnyReport = OperationReport | FillReport

export type Reporter<R extends AnyReport = OperationReport> = ReturnType<typeof makeReporter<R>>

const progressEveryMs = 250
// Steps of a few milliseconds need no report each: nobody sees them, and every report costs the producer a change of records.
const sendEveryMs = 50
// Room for the reports of one run, so that those of a later run always count as later.
export const reportsPerRun = 1_000_000

/** Returns what reports an operation on a jail, from where the journal has it on. */
export function operationReporter(
  job: JailJob,
  operation: JournaledOperation,
  steps: Step[],
  send: (report: OperationReport) => Promise<void>,
): Reporter {
  const first: OperationReport = {
    type: 'operation',
    ...beginningOf(job),
    // Computed once: the operation's number of runs rises with its next run, this reporter's must not.
    sequence: operation.run * reportsPerRun,
    steps: steps.map((step) => stateOf(step, operation)),
    kind: job.kind,
    jail: job.jail.name,
    world: job.jail.world,
    jailState: 'building',
    jid: null,
  }
  return makeReporter(first, steps, send)
}

/** Returns what reports a fill. No journal has it: the clock makes its sequence rise from one worker to the next. */
export function fillReporter(
  job: FillJob,
  step: Pick<Step, 'name' | 'title' | 'weight'>,
  send: (report: FillReport) => Promise<void>,
): Reporter<FillReport> {
  const first: FillReport = {
    type: 'fill',
    ...beginningOf(job),
    sequence: fleetTimeMs() * 1_000,
    steps: [stateOf(step)],
    world: job.world.name,
  }
  return makeReporter(first, [step], send)
}

/** Each report is whole, so changes at the same moment are sent as one, and mere progress is sent less often. */
function makeReporter<R extends AnyReport>(
  first: R,
  steps: readonly Pick<Step, 'name' | 'weight'>[],
  send: (report: R) => Promise<void>,
) {
  const report = structuredClone(first)
  const states = new Map<string, StepState>(report.steps.map((state) => [state.name, state]))
  let fraction = 0
  let lastSentMs = Number.NEGATIVE_INFINITY
  let delayed: NodeJS.Timeout | undefined

  const percent = () => Math.max(report.percent, report.status === 'succeeded' ? 100 : percentOf(steps, states, fraction))

  function next(change: Partial<R> = {}): R {
    clearTimeout(delayed)
    delayed = undefined
    Object.assign(report, change)
    lastSentMs = performance.now()
    report.percent = percent()
    report.sequence += 1
    report.at = fleetTime().toISOString()
    report.steps = [...states.values()]
    return structuredClone(report)
  }

  /** Does not wait. A report that is lost does no harm: the next one is whole, too. */
  function sendNext(change?: Partial<R>): void {
    send(next(change)).catch(() => undefined)
  }

  return {
    /** Returns the next report, for a caller that sends it and waits. */
    next,
    /** Sends a report soon, without waiting. What an earlier one waited for is over, unless `change` names it. */
    send(change: Partial<R> = {}): void {
      delete report.waiting
      Object.assign(report, change)
      const remainingMs = lastSentMs + sendEveryMs - performance.now()
      if (remainingMs <= 0) sendNext()
      else delayed ??= setTimeout(sendNext, remainingMs)
    },
    /** Takes facts for the next report, whenever that is sent. */
    learn(facts: Partial<R>): void {
      Object.assign(report, facts)
    },
    /** Returns a field as the next report has it so far. */
    current: <K extends keyof R>(field: K): R[K] => report[field],
    hasFailed: (step: string | null) => states.get(step ?? '')?.status === 'failed',
    step(step: Pick<Step, 'name'>, status: 'running' | 'succeeded' | 'failed', attempt: number): void {
      const state = states.get(step.name)
      if (!state) return
      const now = fleetTime().toISOString()
      state.status = status
      state.attempt = attempt
      if (status === 'running') {
        state.startedAt ??= now
        report.step = step.name
        fraction = 0
      } else state.finishedAt = now
      report.percent = percent()
    },
    /** A step that failed keeps that status: it is what a reader looks for. */
    undone(step: Step): void {
      const state = states.get(step.name)
      if (state && state.status !== 'failed') Object.assign(state, { status: 'undone', finishedAt: fleetTime().toISOString() })
    },
    /** Shows every step that still runs as undone: it will not end any more. */
    abandon(): void {
      for (const state of states.values())
        if (state.status === 'running') Object.assign(state, { status: 'undone', finishedAt: fleetTime().toISOString() })
    },
    progress(done: number): void {
      fraction = Math.max(fraction, Math.min(done, 1))
      if (performance.now() - lastSentMs >= progressEveryMs && percent() > report.percent) sendNext()
    },
  }
}

/** Returns how much of the steps is done: 99 for all, `fraction` of the one that runs. */
function percentOf(steps: readonly Pick<Step, 'name' | 'weight'>[], states: Map<string, StepState>, fraction: number): number {
  const totalWeight = steps.reduce((sum, { weight }) => sum + weight, 0)
  const done = steps.reduce((sum, { name, weight }) => {
    const status = states.get(name)?.status
    return sum + (status === 'succeeded' ? weight : status === 'running' ? weight * fraction : 0)
  }, 0)
  return Math.floor((99 * done) / Math.max(totalWeight, 1))
}

/** Returns an error as it is in a report, where no text of it is long: it goes into every list of operations. */
export function describeError({ code, message, hint, facts }: ProvostError, step: string | null): OperationError {
  const { command, exitCode, logTail } = facts
  return {
    code,
    message: capped(message),
    hint: capped(hint),
    step,
    ...(command === undefined ? {} : { command: capped(command) }),
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(logTail === undefined ? {} : { logTail: capped(logTail) }),
  }
}

function beginningOf({ host, operation, epoch, attempt }: Job) {
  return { host, operation, epoch, attempt, at: '', status: 'running', percent: 0, step: null } as const
}

const statusOf = { started: 'running', succeeded: 'succeeded', undone: 'undone', 'undo-failed': 'failed' } as const

function stateOf({ name, title }: Pick<Step, 'name' | 'title'>, operation?: JournaledOperation): StepState {
  const known = operation?.steps.get(name)
  return {
    name,
    title,
    status: known ? statusOf[known.mark] : 'pending',
    startedAt: known?.startedAt ?? null,
    finishedAt: known?.finishedAt ?? null,
    attempt: known?.attempt ?? 0,
  }
}
