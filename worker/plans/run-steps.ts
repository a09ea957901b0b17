import { setTimeout as sleep } from 'node:timers/promises'
import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { JobName } from '#shared/job.ts'
import { retryDelayMs } from '#shared/process/retry-policy.ts'
import { Interrupted } from '#shared/redis/until-redis-answers.ts'
import { movedAway } from './not-wanted.ts'
import { isOfBatch, type Run } from './run.ts'
import { Pause } from './steps/pause.ts'
import type { Step } from './steps/step.ts'
import { undoStep } from './undo-steps.ts'

/**
 * Runs one job's steps of a plan, from the first that the journal does not have as done.
 *
 * @throws ProvostError what the operation fails of, a cancel, too. @throws Pause when it has to wait longer than a slot should be
 * taken. @throws Interrupted when the worker is to stop.
 */
export async function runSteps(run: Run, name: JobName): Promise<void> {
  const last = run.plan.parts.findLast(({ job }) => job === name)
  for (const part of run.plan.parts) {
    for (const step of part.steps) {
      const known = run.operation.steps.get(step.name)
      if (known?.mark === 'succeeded' && known.bootId === run.operation.bootId) continue
      // A step of an earlier job is repeated only because a reboot took its effect.
      if (part.job !== name && known?.mark !== 'succeeded')
        throw new ProvostError('not_built', `The step ${step.name} of the jail has not been done on this host.`)
      await waitForTurn(run, step)
      run.reporter.learn({ jailState: part.jailState })
      await runStep(run, step)
    }
    if (part === last) break
  }
  // A cancel must not have to wait for the turn of the next job.
  if (run.plan.parts.at(-1)?.job !== name) await run.throwUnlessWanted()
}

/** Before a step: whether it may begin now, and still on this host. */
async function waitForTurn({ job, plan, cancel, deps, throwUnlessWanted }: Run, step: Step): Promise<void> {
  if (isOfBatch(job)) await deps.giveWay(AbortSignal.any([cancel, deps.stopping]))
  if (deps.stopping.aborted) throw new Interrupted()
  await throwUnlessWanted()
  if (step === plan.bindsAt && !(await deps.bind(job))) throw movedAway(job)
}

/** Runs a step until it succeeds, fails for good, or has to wait longer than its slot should be taken. */
async function runStep(run: Run, step: Step): Promise<void> {
  const { deps, reporter, log, cancel } = run
  for (let attempt = run.operation.steps.get(step.name)?.attempt ?? 1; ; attempt += 1) {
    if (step.repeatable === false && run.operation.steps.get(step.name)?.mark === 'started') await takeBack(run, step)
    await run.mark({ step: step.name, mark: 'started', attempt })
    log.heading(`${step.name}: ${step.title}${attempt > 1 ? `, attempt ${attempt}` : ''}`)
    reporter.step(step, 'running', attempt)
    reporter.tell()
    try {
      await runOnce(run, step)
      run.markLater({ step: step.name, mark: 'succeeded', attempt })
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
        await run.mark({ step: step.name, mark: 'started', attempt: attempt + 1 })
        throw new Pause(reason, { delayMs })
      }
      reporter.tell({ waiting: { reason } })
      await sleep(delayMs, undefined, { signal: cancel }).catch(() => undefined)
      await run.throwUnlessWanted()
    }
  }
}

/** What was begun of a step that may not be repeated is undone before it is done anew. */
async function takeBack(run: Run, step: Step): Promise<void> {
  run.log.heading(`undo ${step.name}, which was begun and not ended`)
  const failure = await undoStep(run, step)
  if (failure) throw new ProvostError('resource_busy', `${step.title} was begun before and cannot be undone: ${failure}`)
}

async function runOnce({ cancel, contextOf }: Run, step: Step): Promise<void> {
  const timeout = AbortSignal.timeout(step.timeoutMs)
  try {
    await step.run(contextOf(AbortSignal.any([cancel, timeout])))
  } catch (thrown) {
    if (timeout.aborted && !cancel.aborted && !(thrown instanceof ProvostError))
      throw new ProvostError('step_timeout', `${step.title} took longer than ${step.timeoutMs / 1000} seconds.`)
    throw thrown
  }
}
