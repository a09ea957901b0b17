import type { Job } from '#shared/job.ts'
import type { StepState } from '#shared/operation.ts'
import type { OperationReport } from '#shared/report.ts'
import type { JournaledOperation } from './journal.ts'
import type { JailFacts, Step } from './step.ts'

type Change = Partial<Pick<OperationReport, 'status' | 'jailState' | 'waiting' | 'error' | 'step'>>

export type Reporter = ReturnType<typeof makeReporter>

const progressEveryMs = 250
// Steps of a few milliseconds need no report each: nobody sees them, and every report costs the producer a change of records.
const tellEveryMs = 50
// Room for the reports of one run, so that a later run's always count as later.
const reportsPerRun = 1_000_000

/** Tells how an operation stands. Each report is whole, so what comes at once goes out as one, and mere progress is thinned out. */
export function makeReporter(
  job: Job,
  operation: JournaledOperation,
  steps: Step[],
  send: (report: OperationReport) => Promise<void>,
) {
  const states = new Map<string, StepState>(steps.map((step) => [step.name, stateOf(step, operation)]))
  const totalWeight = steps.reduce((sum, { weight }) => sum + weight, 0)
  // The operation's own number rises with its next run, this one's must not.
  const firstSequence = operation.run * reportsPerRun
  let count = 0
  let fraction = 0
  let lastSentMs = 0
  let delayed: NodeJS.Timeout | undefined
  const report: OperationReport = {
    type: 'operation',
    host: job.host,
    operation: job.operation,
    jail: job.jail.name,
    epoch: job.epoch,
    attempt: job.attempt,
    sequence: 0,
    at: '',
    status: 'running',
    percent: 0,
    step: null,
    steps: [],
    jailState: 'building',
    jid: null,
  }

  function percent(): number {
    if (report.status === 'succeeded') return 100
    const done = steps.reduce((sum, { name, weight }) => {
      const status = states.get(name)?.status
      return sum + (status === 'succeeded' ? weight : status === 'running' ? weight * fraction : 0)
    }, 0)
    return Math.max(report.percent, Math.floor((99 * done) / Math.max(totalWeight, 1)))
  }

  function next(change: Change = {}): OperationReport {
    clearTimeout(delayed)
    delayed = undefined
    Object.assign(report, change)
    count += 1
    lastSentMs = Date.now()
    report.percent = percent()
    report.sequence = firstSequence + count
    report.at = new Date(lastSentMs).toISOString()
    report.steps = [...states.values()]
    return structuredClone(report)
  }

  /** Sends the next report and goes on. One that is lost does no harm: the next one is as whole. */
  function sendNext(change?: Change): void {
    send(next(change)).catch(() => undefined)
  }

  return {
    /** The next report, for whoever sends it and waits until that is done. */
    next,
    /** Sends the next report and goes on. What an earlier one waited for is over, unless `change` says it. */
    tell(change: Change = {}): void {
      delete report.waiting
      Object.assign(report, change)
      const remainingMs = lastSentMs + tellEveryMs - Date.now()
      if (remainingMs <= 0) sendNext()
      else delayed ??= setTimeout(sendNext, remainingMs)
    },
    learn(facts: JailFacts): void {
      Object.assign(report, facts)
    },
    enter(jailState: OperationReport['jailState']): void {
      report.jailState = jailState
    },
    currentStep: () => report.step,
    step(step: Step, status: 'running' | 'succeeded' | 'failed', attempt: number): void {
      const state = states.get(step.name)
      if (!state) return
      const now = new Date().toISOString()
      state.status = status
      state.attempt = attempt
      if (status === 'running') {
        state.startedAt ??= now
        report.step = step.name
        fraction = 0
      } else state.finishedAt = now
    },
    /** The step that failed stays the failed one: it is what a reader looks for. */
    undone(step: Step): void {
      const state = states.get(step.name)
      if (state && state.status !== 'failed') Object.assign(state, { status: 'undone', finishedAt: new Date().toISOString() })
    },
    /** A step that neither ended nor failed is not going to. */
    abandon(): void {
      for (const state of states.values())
        if (state.status === 'running') Object.assign(state, { status: 'undone', finishedAt: new Date().toISOString() })
    },
    progress(done: number): void {
      fraction = Math.max(fraction, Math.min(done, 1))
      if (Date.now() - lastSentMs >= progressEveryMs && percent() > report.percent) sendNext()
    },
  }
}

const statusOf = { started: 'running', succeeded: 'succeeded', undone: 'undone', 'undo-failed': 'failed' } as const

function stateOf(step: Step, operation: JournaledOperation): StepState {
  const known = operation.steps.get(step.name)
  return {
    name: step.name,
    title: step.title,
    status: known ? statusOf[known.mark] : 'pending',
    startedAt: known?.startedAt ?? null,
    finishedAt: known?.finishedAt ?? null,
    attempt: known?.attempt ?? 0,
  }
}
