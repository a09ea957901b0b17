import { setTimeout as sleep } from 'node:timers/promises'
import { type ProvostError, toProvostError } from '#shared/errors.ts'
import { retryDelayMs } from '#shared/process/retry-policy.ts'
import type { Mark } from '../journal/runs.ts'
import type { Run } from './run.ts'
import type { Step } from './steps/step.ts'

const undoAttempts = 4

/**
 * Undoes a plan's steps, last first, each with a timeout of its own: those that had begun, so that nothing half made is
 * missed, or all of the plan. Returns what could not be undone.
 */
export async function undoSteps(run: Run): Promise<string[]> {
  const failures: string[] = []
  for (const step of run.steps.toReversed()) {
    const known = run.operation.steps.get(step.name)
    if (!step.undo || (!known && run.plan.undoes === 'begun')) continue
    const attempt = known?.attempt ?? 1
    run.log.heading(`undo ${step.name}`)
    const failure = await undoStep(run, step)
    await noteMarks(run, [{ step: step.name, mark: failure ? 'undo-failed' : 'undone', attempt }])
    if (failure) failures.push(`${step.name}: ${failure}`)
    else if (known) run.reporter.undone(step)
  }
  return failures
}

/** Marks all steps that had begun as not undone, without trying. Returns what is left. */
export async function leaveSteps(run: Run): Promise<string[]> {
  const { steps, operation } = run
  const left = steps.filter(({ name, undo }) => undo && operation.steps.has(name)).map(({ name }) => name)
  await noteMarks(
    run,
    left.map((step) => ({ step, mark: 'undo-failed' as const, attempt: operation.steps.get(step)?.attempt ?? 1 })),
  )
  return left.map((step) => `${step}: it was not tried, since it may end the worker`)
}

/** On a full disk the marks are kept in memory alone; this process goes on until it can note the operation's end. */
async function noteMarks({ deps, operation, log }: Run, marks: Mark[]): Promise<void> {
  await deps.journal.markUndo(operation, marks).catch((thrown) => log.note(toProvostError(thrown).message))
}

/** Undoes a step, with retries. Returns why it could not; undefined once it is undone. */
export function undoStep(run: Run, step: Step): Promise<string | undefined> {
  return tryUndoing(run, async () => step.undo?.(run.contextOf(AbortSignal.timeout(step.timeoutMs))))
}

/** Does part of an undoing, with retries of what may pass. Returns why it could not; undefined once it is done. */
export async function tryUndoing(
  { deps, log }: Run,
  work: () => Promise<void>,
  mayPass = ({ retryable }: ProvostError) => retryable,
): Promise<string | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await work()
      return undefined
    } catch (thrown) {
      const error = toProvostError(thrown)
      log.note(`${error.code}: ${error.message}`)
      if (!mayPass(error) || attempt >= undoAttempts) return error.message
      await sleep(retryDelayMs(attempt, deps.retry))
    }
  }
}
