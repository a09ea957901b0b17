import { setTimeout as sleep } from 'node:timers/promises'
import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { JobName } from '#shared/job.ts'
import { retryDelayMs } from '#shared/process/retry-policy.ts'
import { Interrupted } from '#shared/redis/until-redis-answers.ts'
import { begunElsewhere, movedAway } from './recorded.ts'
import { isOfBatch, type Run } from './run.ts'
import { Pause } from './steps/pause.ts'
import type { Step } from './steps/step.ts'
import { undoStep } from './undo-steps.ts'

/**
 * Runs one job's steps of a plan, from the first that the journal does not have as done.
 *
 * @throws ProvostError why the operation fails, also by a cancel. @throws Pause when it must wait longer than it may have a
 * slot. @throws Interrupted when the worker stops.
 */
export async function runSteps(run: Run, name: JobName): Promise<void> {
  const last = run.plan.parts.findLast(({ job }) => job === name)
  for (const part of run.plan.parts) {
    for (const step of part.steps) {
      const known = run.operation.steps.get(step.name)
      if (known?.mark === 'succeeded' && known.bootId === run.operation.bootId) continue
      // A step of an earlier job is repeated only after a reboot, which has undone its effect.
      if (part.job !== name && known?.mark !== 'succeeded')
        throw new ProvostError('not_built', `The step ${step.name} of the jail has not been done on this host.`)
      await waitForTurn(run, step)
      run.reporter.learn({ jailState: part.jailState })
      await runStep(run, step)
    }
    if (part === last) break
  }
  // A cancel must not have to wait until the next job gets its slot.
  if (run.plan.parts.at(-1)?.job !== name) await run.throwUnlessWanted()
}

/** Waits until a step may begin. @throws ProvostError when it may not, or not on this host any more. */
async function waitForTurn({ job, plan, cancel, deps, throwUnlessWanted }: Run, step: Step): Promise<void> {
  if (isOfBatch(job)) await deps.waitForOthers(AbortSignal.any([cancel, deps.stopping]))
  if (deps.stopping.aborted) throw new Interrupted()
  await throwUnlessWanted()
  if (step !== plan.bindsAt) return
  const binding = await deps.bind(job)
  if (binding.type === 'moved') throw movedAway(job)
  if (binding.type === 'elsewhere') throw begunElsewhere(job, binding.root)
}

/** Runs a step until it succeeds, fails for good, or must wait longer than it may have a slot. */
async function runStep(run: Run, step: Step): Promise<void> {
  const { deps, reporter, log, cancel } = run
  for (let attempt = run.operation.steps.get(step.name)?.attempt ?? 1; ; attempt += 1) {
    if (step.repeatable === false && run.operation.steps.get(step.name)?.mark === 'started') await undoBegun(run, step)
    await run.mark({ step: step.name, mark: 'started', attempt })
    log.heading(`${step.name}: ${step.title}${attempt > 1 ? `, attempt ${attempt}` : ''}`)
    reporter.step(step, 'running', attempt)
    reporter.send()
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
      if (delayMs > deps.retry.keepSlotMs) {
        await run.mark({ step: step.name, mark: 'started', attempt: attempt + 1 })
        throw new Pause(reason, { delayMs })
      }
      reporter.send({ waiting: { reason } })
      await sleep(delayMs, undefined, { signal: cancel }).catch(() => undefined)
      await run.throwUnlessWanted()
    }
  }
}

/** Undoes what was begun of a step that must not be repeated, before it is done again. */
async function undoBegun(run: Run, step: Step): Promise<void> {
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
