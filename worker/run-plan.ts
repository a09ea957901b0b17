import { setTimeout as sleep } from 'node:timers/promises'
import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { Job, JobName } from '#shared/job.ts'
import type { OperationReport } from '#shared/report.ts'
import { type RetryPolicy, retryDelayMs } from './backoff.ts'
import type { HostRuntime } from './host/host-runtime.ts'
import type { Journal, JournaledOperation, StepMark } from './journal.ts'
import type { OperationLog } from './operation-log.ts'
import { Pause } from './pause.ts'
import { type Plan, planOf, stepsOf } from './plans.ts'
import { refuseLate, refuseStranger, refuseUnknown } from './refuse-job.ts'
import { makeReporter, type Reporter } from './report-progress.ts'
import type { Step } from './step.ts'
import { undoSteps } from './undo-steps.ts'
import { Interrupted, untilRedisAnswers } from './until-redis-answers.ts'
import type { WorldStore } from './worlds/world-store.ts'

/** What became of one job's share of an operation. */
export type Outcome =
  | { type: 'ended'; report: OperationReport }
  /** This job's part is done; the operation's next job goes on. */
  | { type: 'handed-over' }
  | { type: 'paused'; pause: Pause; reporter: Reporter }
  /** The worker is stopping: the same job goes on after it has started again. */
  | { type: 'interrupted' }

export type RunDeps = {
  host: HostRuntime
  worlds: WorldStore
  journal: Journal
  /** Runs `work` while nobody else works on the jail. */
  withJail<T>(name: string, work: () => Promise<T>): Promise<T>
  send(report: OperationReport): Promise<void>
  isCancelled(operation: string): Promise<boolean>
  /** The compare-and-set after which the operation can no longer be moved to another host. False: it was moved. */
  bind(job: Job): Promise<boolean>
  /** Aborted when the worker stops: no further step begins. */
  stopping: AbortSignal
  retry: RetryPolicy
}

/** One pickup of an operation. */
export type Run = {
  job: Job
  plan: Plan
  steps: Step[]
  operation: JournaledOperation
  reporter: Reporter
  log: OperationLog
  cancel: AbortSignal
  deps: RunDeps
  /** Marks that are not in the journal yet: they go with the next one, in one flush. */
  marks: { step: string; mark: StepMark; attempt: number }[]
}

/**
 * Runs one job's part of an operation on this host: from the first step that the journal does not have as done, to the
 * end, to a pause, or to a failure, after which what was done is undone. `cancel` ends it at once.
 */
export function runPlan(job: Job, name: JobName, log: OperationLog, cancel: AbortSignal, deps: RunDeps): Promise<Outcome> {
  return deps.withJail(job.jail.name, async () => {
    const ended = deps.journal.endedReport(job)
    if (ended) {
      // The job came again, so perhaps nobody heard of the end.
      await deps.send(ended)
      return { type: 'ended', report: ended }
    }
    if (!planOf(job.kind, job.plan)) return { type: 'ended', report: await refuseUnknown(job, deps) }
    const found = deps.journal.jail(job.jail.name)
    if (found && found.spec.provision !== job.jail.provision) return { type: 'ended', report: await refuseStranger(job, deps) }
    if (deps.journal.epochOf(job.jail.name) > job.epoch) return { type: 'ended', report: await refuseLate(job, deps) }
    await endSuperseded(job, log, deps)

    const run = await beginRun(job, log, cancel, deps)
    const handsOver = run.plan.parts.at(-1)?.job !== name
    try {
      await runParts(run, name)
      // A cancel must not have to wait for the turn of the next job.
      if (handsOver) await throwIfCancelled(run)
    } catch (thrown) {
      if (thrown instanceof Interrupted) {
        await flushMarks(run)
        return { type: 'interrupted' }
      }
      if (thrown instanceof Pause) {
        run.reporter.tell({ waiting: { reason: thrown.reason } })
        return { type: 'paused', pause: thrown, reporter: run.reporter }
      }
      return { type: 'ended', report: await endFailed(run, toProvostError(thrown)) }
    }
    if (handsOver) {
      await flushMarks(run)
      run.reporter.tell({ jailState: 'built', step: null })
      return { type: 'handed-over' }
    }
    return { type: 'ended', report: await end(run, { status: 'succeeded', step: null, jailState: run.plan.leaves }) }
  })
}

async function beginRun(job: Job, log: OperationLog, cancel: AbortSignal, deps: RunDeps): Promise<Run> {
  const plan = planOf(job.kind, job.plan)
  if (!plan) throw new ProvostError('unknown_plan', `This worker does not know plan ${job.kind} in version ${job.plan}.`)
  const operation = await deps.journal.beginRun(job, await deps.host.bootId())
  const steps = stepsOf(plan)
  const reporter = makeReporter(job, operation, steps, deps.send)
  // What only goes forward cannot be ended within a step: the notice may have been on its way when the plan began.
  const heeded = plan.undoes === 'nothing' ? new AbortController().signal : cancel
  return { job, plan, steps, operation, reporter, log, cancel: heeded, deps, marks: [] }
}

async function runParts(run: Run, name: JobName): Promise<void> {
  for (const part of run.plan.parts) {
    for (const step of part.steps) {
      const known = run.operation.steps.get(step.name)
      if (known?.mark === 'succeeded' && known.bootId === run.operation.bootId) continue
      // A step of an earlier job is repeated only because a reboot took its effect.
      if (part.job !== name && known?.mark !== 'succeeded')
        throw new ProvostError('not_built', `The step ${step.name} of the jail has not been done on this host.`)
      if (run.deps.stopping.aborted) throw new Interrupted()
      await throwIfCancelled(run)
      if (step === run.plan.bindsAt && !(await untilRedisAnswers(run.deps.stopping, () => run.deps.bind(run.job))))
        throw new ProvostError('moved_away', `The operation was moved away from host ${run.job.host}.`)
      run.reporter.enter(part.jailState)
      await runStep(run, step)
    }
    if (part.job === name && run.plan.parts.findLast(({ job }) => job === name) === part) return
  }
}

/** Runs a step until it succeeds, fails for good, or has to wait longer than its slot may be held. */
async function runStep(run: Run, step: Step): Promise<void> {
  const { deps, reporter, log, cancel } = run
  for (let attempt = run.operation.steps.get(step.name)?.attempt ?? 1; ; attempt += 1) {
    await flushMarks(run, { step: step.name, mark: 'started', attempt })
    log.heading(`${step.name}: ${step.title}${attempt > 1 ? `, attempt ${attempt}` : ''}`)
    reporter.step(step, 'running', attempt)
    reporter.tell()
    try {
      await runOnce(run, step)
      run.marks.push({ step: step.name, mark: 'succeeded', attempt })
      reporter.step(step, 'succeeded', attempt)
      return
    } catch (thrown) {
      if (thrown instanceof Pause) throw thrown
      if (cancel.aborted) throw toProvostError(cancel.reason)
      const error = toProvostError(thrown)
      log.note(`${error.code}: ${error.message}`)
      if (!error.retryable || attempt >= deps.retry.maxAttempts) {
        reporter.step(step, 'failed', attempt)
        throw error
      }
      const delayMs = retryDelayMs(attempt, deps.retry)
      const reason = `retry in ${Math.ceil(delayMs / 1000)} s: ${error.message}`
      if (delayMs > deps.retry.holdSlotMs) {
        await flushMarks(run, { step: step.name, mark: 'started', attempt: attempt + 1 })
        throw new Pause(reason, { delayMs })
      }
      reporter.tell({ waiting: { reason } })
      await sleep(delayMs, undefined, { signal: cancel }).catch(() => undefined)
      await throwIfCancelled(run)
    }
  }
}

async function runOnce({ deps, job, log, cancel, reporter }: Run, step: Step): Promise<void> {
  const timeout = AbortSignal.timeout(step.timeoutMs)
  try {
    await step.run({
      host: deps.host,
      worlds: deps.worlds,
      jail: job.jail,
      asker: { operation: `${job.operation}/${job.attempt}`, record: log.record },
      signal: AbortSignal.any([cancel, timeout]),
      learn: reporter.learn,
    })
  } catch (thrown) {
    if (timeout.aborted && !cancel.aborted && !(thrown instanceof ProvostError))
      throw new ProvostError('step_timeout', `${step.title} took longer than ${step.timeoutMs / 1000} seconds.`)
    throw thrown
  }
}

async function throwIfCancelled(run: Run): Promise<void> {
  const { job, plan, operation, cancel, deps } = run
  if (plan.undoes === 'nothing' && operation.steps.size > 0) return
  if (cancel.aborted) throw toProvostError(cancel.reason)
  if (await untilRedisAnswers(deps.stopping, () => deps.isCancelled(job.operation)))
    throw new ProvostError('cancelled', 'The operation was cancelled.')
}

async function flushMarks(run: Run, ...more: Run['marks']): Promise<void> {
  run.marks.push(...more)
  if (run.marks.length > 0) await run.deps.journal.mark(run.operation, run.marks)
  run.marks = []
}

type End = Parameters<Reporter['next']>[0]

async function end(run: Run, change: End): Promise<OperationReport> {
  const report = run.reporter.next(change)
  await run.deps.journal.end(report)
  await untilRedisAnswers(run.deps.stopping, () => run.deps.send(report))
  return report
}

/** Undoes what the plan lets undo, and says how that leaves the jail. */
async function endFailed(run: Run, error: ProvostError): Promise<OperationReport> {
  const cancelled = error.code === 'cancelled'
  const step = run.reporter.currentStep()
  await flushMarks(run)
  const touched = run.operation.steps.size > 0
  const notUndone = run.plan.undoes !== 'nothing' && touched ? await undoSteps(run) : []
  run.reporter.abandon()
  const clean = notUndone.length === 0
  const message = clean ? error.message : `${error.message} Undoing it failed, too: ${notUndone.join('; ')}`
  const { command, exitCode, logTail } = error.facts
  return end(run, {
    status: cancelled && clean ? 'cancelled' : 'failed',
    step,
    jailState: await jailStateAfter(run, { cancelled: cancelled && clean, touched }),
    error: {
      code: error.code,
      message,
      hint: error.hint,
      step,
      ...(command === undefined ? {} : { command }),
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(logTail === undefined ? {} : { logTail }),
    },
  })
}

async function jailStateAfter({ job, deps }: Run, { cancelled, touched }: { cancelled: boolean; touched: boolean }) {
  if (job.kind === 'provision') return cancelled ? 'gone' : 'failed'
  if (!touched) return 'unchanged'
  if (job.kind === 'destroy') return 'destroying'
  if (job.kind === 'start' || job.kind === 'restart') return 'stopped'
  return (await deps.host.findJail(job.jail)) ? 'running' : 'stopped'
}

/** A newer operation of the jail is here: what an older one has left unended is undone first, as cancelled. */
async function endSuperseded(job: Job, log: OperationLog, deps: RunDeps): Promise<void> {
  const older = deps.journal.jail(job.jail.name)?.current
  if (!older || (older.operation === job.operation && older.epoch === job.epoch)) return
  const { operation, kind, plan, epoch, attempt, spec } = older
  const olderJob: Job = { ...job, operation, kind, plan, epoch, attempt, jail: spec }
  const run = await beginRun(olderJob, log, AbortSignal.abort(), deps)
  await endFailed(run, new ProvostError('cancelled', 'A later operation of the jail took its place.'))
}
