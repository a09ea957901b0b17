import { setTimeout as sleep } from 'node:timers/promises'
import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { JailJob, JobName } from '#shared/job.ts'
import { retryDelayMs } from '#shared/process/retry-policy.ts'
import { Interrupted, untilRedisAnswers } from '#shared/redis/until-redis-answers.ts'
import type { OperationReport } from '#shared/report.ts'
import { endFailed, endPoisoned, endSucceeded, endSuperseded, goOnUndoing, poisonousKills } from './end-operation.ts'
import type { OperationLog } from './operation-log.ts'
import { Pause } from './pause.ts'
import { planOf } from './plans.ts'
import { refuseCancelled, refuseEnded, refuseLate, refuseLost, refuseMoved, refuseStranger } from './refuse-job.ts'
import {
  askerOf,
  beginRun,
  flushMarks,
  isOfBatch,
  leaveRun,
  movedAway,
  type Outcome,
  type Run,
  type RunDeps,
  whyNotWanted,
} from './run.ts'
import type { Step } from './step.ts'
import { undoStep } from './undo-steps.ts'

/** A worker that knows the plan may be started in place of this one; it takes a waiting job at once. */
const unknownPlanAgainMs = 10_000
const fullDiskAgainMs = 1_000

/**
 * Runs one job's part of an operation on this host: from the first step that the journal does not have as done, to the
 * end, to a pause, or to a failure, after which what was done is undone. `cancel` ends it at once.
 */
export function runPlan(job: JailJob, name: JobName, log: OperationLog, cancel: AbortSignal, deps: RunDeps): Promise<Outcome> {
  return deps.withJail(job.jail.name, async () => {
    try {
      const early = await settleEarly(job, deps)
      if (early) return early
      await endSuperseded(job, log, deps)
      const pickUp = async () => goOn(await beginRun(job, log, cancel, deps), name)
      // At its last try none of the others that may have done it is at work: they are not to share its verdict.
      const isSuspect = deps.journal.killsOf(job, job.jail.name) >= poisonousKills - 1
      return await (isSuspect ? deps.withSuspect(pickUp) : pickUp())
    } catch (thrown) {
      if (thrown instanceof Interrupted) return { type: 'interrupted' }
      const { code, message } = toProvostError(thrown)
      if (code !== 'disk_full') throw thrown
      // No verdict: what is done or undone by now is still to be noted.
      log.note(`${code}: ${message}`)
      return { type: 'paused', pause: new Pause('room for its journal', { delayMs: fullDiskAgainMs }) }
    }
  })
}

/** What becomes of a job that has nothing to run here, or not yet. */
async function settleEarly(job: JailJob, deps: RunDeps): Promise<Outcome | undefined> {
  const { journal, plans, stopping } = deps
  const report = await journal.endedReport(job)
  if (report) {
    // The job came again, so perhaps nobody heard of the end.
    await deps.send(await withJidNow(report, job, deps))
    return { type: 'ended', report }
  }
  const found = journal.jail(job.jail.name)
  if (found && found.spec.provision !== job.jail.provision) return { type: 'ended', report: await refuseStranger(job, deps) }
  if (journal.epochOf(job.jail.name) > job.epoch) {
    return { type: 'ended', report: await refuseLate(job, found !== undefined, deps) }
  }

  const isUnknown = [job, found?.current].some((each) => each && !planOf(each.kind, each.plan, plans))
  if (found?.current?.epoch !== job.epoch) {
    const { moved, ended, cancelled, lost } = await untilRedisAnswers(stopping, () => deps.standing(job))
    if (lost) return { type: 'ended', report: await refuseLost(job, deps) }
    if (moved) return { type: 'ended', report: await refuseMoved(job, deps) }
    if (ended) return { type: 'ended', report: await refuseEnded(job, deps) }
    if (cancelled && isUnknown) return { type: 'ended', report: await refuseCancelled(job, deps) }
  }
  const reason = `a worker that knows plan ${job.kind} in version ${job.plan}`
  return isUnknown ? { type: 'paused', pause: new Pause(reason, { delayMs: unknownPlanAgainMs }) } : undefined
}

/** The end of an operation as it is to be told now: after a reboot its jail was started again and has another jid. */
async function withJidNow(report: OperationReport, { jail }: JailJob, { host, journal }: RunDeps): Promise<OperationReport> {
  if (report.jailState !== 'running' || journal.epochOf(jail.name) !== report.epoch) return report
  const found = await host.findJail(jail)
  return { ...report, jailState: found ? 'running' : 'stopped', jid: found?.jid ?? null }
}

async function goOn(run: Run, name: JobName): Promise<Outcome> {
  try {
    return await goOnUnlessPoisoned(run, name)
  } catch (thrown) {
    // Not the end of an operation, but none of the worker either.
    await leaveRun(run).catch(() => undefined)
    throw thrown
  }
}

async function goOnUnlessPoisoned(run: Run, name: JobName): Promise<Outcome> {
  if (run.operation.kills >= poisonousKills) return { type: 'ended', report: await endPoisoned(run) }
  if (run.operation.undoing) return { type: 'ended', report: await goOnUndoing(run, run.operation.undoing) }
  const handsOver = run.plan.parts.at(-1)?.job !== name
  try {
    await runParts(run, name)
    // A cancel must not have to wait for the turn of the next job.
    if (handsOver) await throwUnlessWanted(run)
  } catch (thrown) {
    if (thrown instanceof Interrupted) {
      await leaveRun(run)
      return { type: 'interrupted' }
    }
    if (thrown instanceof Pause) {
      await leaveRun(run)
      run.reporter.tell({ waiting: { reason: thrown.reason } })
      return { type: 'paused', pause: thrown, progress: run.reporter.progress }
    }
    return { type: 'ended', report: await endFailed(run, toProvostError(thrown)) }
  }
  if (handsOver) {
    await leaveRun(run)
    run.reporter.tell({ jailState: 'built', step: null })
    return { type: 'handed-over' }
  }
  return { type: 'ended', report: await endSucceeded(run) }
}

async function runParts(run: Run, name: JobName): Promise<void> {
  for (const part of run.plan.parts) {
    for (const step of part.steps) {
      const known = run.operation.steps.get(step.name)
      if (known?.mark === 'succeeded' && known.bootId === run.operation.bootId) continue
      // A step of an earlier job is repeated only because a reboot took its effect.
      if (part.job !== name && known?.mark !== 'succeeded')
        throw new ProvostError('not_built', `The step ${step.name} of the jail has not been done on this host.`)
      if (isOfBatch(run.job)) await run.deps.giveWay(AbortSignal.any([run.cancel, run.deps.stopping]))
      if (run.deps.stopping.aborted) throw new Interrupted()
      await throwUnlessWanted(run)
      if (step === run.plan.bindsAt && !(await untilRedisAnswers(run.deps.stopping, () => run.deps.bind(run.job))))
        throw movedAway(run.job)
      run.reporter.learn({ jailState: part.jailState })
      await runStep(run, step)
    }
    if (part.job === name && run.plan.parts.findLast(({ job }) => job === name) === part) return
  }
}

/** Runs a step until it succeeds, fails for good, or has to wait longer than its slot may be held. */
async function runStep(run: Run, step: Step): Promise<void> {
  const { deps, reporter, log, cancel } = run
  for (let attempt = run.operation.steps.get(step.name)?.attempt ?? 1; ; attempt += 1) {
    if (step.repeatable === false && run.operation.steps.get(step.name)?.mark === 'started') await takeBack(run, step)
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
      await throwUnlessWanted(run)
    }
  }
}

/** What was begun of a step that may not be repeated is undone before it is done anew. */
async function takeBack(run: Run, step: Step): Promise<void> {
  run.log.heading(`undo ${step.name}, which was begun and not ended`)
  const failure = await undoStep(run, step)
  if (failure) throw new ProvostError('resource_busy', `${step.title} was begun before and cannot be undone: ${failure}`)
}

async function runOnce({ deps, job, log, cancel, reporter }: Run, step: Step): Promise<void> {
  const timeout = AbortSignal.timeout(step.timeoutMs)
  try {
    await step.run({
      host: deps.host,
      worlds: deps.worlds,
      jail: job.jail,
      asker: { operation: askerOf(job), record: log.record },
      signal: AbortSignal.any([cancel, timeout]),
      learn: reporter.learn,
    })
  } catch (thrown) {
    if (timeout.aborted && !cancel.aborted && !(thrown instanceof ProvostError))
      throw new ProvostError('step_timeout', `${step.title} took longer than ${step.timeoutMs / 1000} seconds.`)
    throw thrown
  }
}

async function throwUnlessWanted(run: Run): Promise<void> {
  const { job, plan, operation, cancel, deps } = run
  if (plan.undoes === 'nothing' && operation.steps.size > 0) return
  if (cancel.aborted) throw toProvostError(cancel.reason)
  const why = whyNotWanted(job, await untilRedisAnswers(deps.stopping, () => deps.standing(job)))
  if (why) throw why
}
