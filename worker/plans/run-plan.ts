import { type ErrorCode, type ProvostError, toProvostError } from '#shared/errors.ts'
import type { JailJob, JobName } from '#shared/job.ts'
import { Interrupted } from '#shared/redis/until-redis-answers.ts'
import { poisonousKills } from '../journal/entries.ts'
import { endFailed, endSucceeded, endSuperseded, failureBefore } from './end-operation.ts'
import type { OperationLog } from './operation-log.ts'
import { beginRun, type Outcome, type Run, type RunDeps } from './run.ts'
import { runSteps } from './run-steps.ts'
import { settleEarly } from './settle-early.ts'
import { Pause } from './steps/pause.ts'

/** By what keeps a run from its journal, what it waits for, and for how long. No failure of the operation: it goes on then. */
const waits: Partial<Record<ErrorCode, { reason: string; delayMs: number }>> = {
  disk_full: { reason: 'room for its journal', delayMs: 1_000 },
  host_exhausted: { reason: 'room on its host', delayMs: 1_000 },
  journal_lost: { reason: "the journal of its host, which is gone: see the host's reason", delayMs: 3_000 },
}

/**
 * Runs one job's part of an operation on this host, from the first step that the journal does not have as done: to its end,
 * to a pause, or to a failure, after which what was done is undone. `cancel` ends it at once.
 */
export function runPlan(job: JailJob, name: JobName, log: OperationLog, cancel: AbortSignal, deps: RunDeps): Promise<Outcome> {
  const attempt = async (): Promise<Outcome> => {
    try {
      const early = await settleEarly(job, deps)
      if (early) return early
      await endSuperseded(job, log, deps)
      const pickUp = async () => goOn(await beginRun(job, log, cancel, deps), name)
      // The last try runs while no other suspect does: an operation must not fail for a kill that another one caused.
      const isSuspect = deps.journal.killsOf(job, job.jail.name) >= poisonousKills - 1
      return await (isSuspect ? deps.withSuspect(pickUp) : pickUp())
    } catch (thrown) {
      if (thrown instanceof Interrupted) return { type: 'interrupted' }
      const { code, message } = toProvostError(thrown)
      const wait = waits[code]
      if (!wait) throw thrown
      // What is already done or undone must still be noted.
      log.note(`${code}: ${message}`)
      if (code === 'disk_full' && deps.diskFull(job)) return attempt()
      return { type: 'paused', pause: new Pause(wait.reason, { delayMs: wait.delayMs }) }
    }
  }
  return deps.withJail(job.jail.name, attempt, { comes: new Error(`The operation ${job.operation} comes for the jail.`) })
}

/** Returns what stopped it: its failure, a pause, or the end of the worker; undefined once all its steps are done. */
async function runUntilStopped(run: Run, name: JobName): Promise<ProvostError | Pause | Interrupted | undefined> {
  try {
    await runSteps(run, name)
    return undefined
  } catch (thrown) {
    return thrown instanceof Interrupted || thrown instanceof Pause ? thrown : toProvostError(thrown)
  }
}

async function goOn(run: Run, name: JobName): Promise<Outcome> {
  try {
    const stop = failureBefore(run) ?? (await runUntilStopped(run, name))
    if (stop instanceof Interrupted) {
      await run.leave()
      return { type: 'interrupted' }
    }
    if (stop instanceof Pause) {
      await run.leave()
      run.reporter.send({ waiting: { reason: stop.reason } })
      return { type: 'paused', pause: stop, progress: run.reporter.progress }
    }
    // Nothing is undone that cannot be noted.
    if (stop?.code === 'journal_lost') throw stop
    if (stop) return { type: 'ended', report: await endFailed(run, stop) }
    if (run.plan.parts.at(-1)?.job === name) return { type: 'ended', report: await endSucceeded(run) }
    await run.leave()
    run.reporter.send({ jailState: 'built', step: null })
    return { type: 'handed-over' }
  } catch (thrown) {
    // The operation has not ended, but neither has the worker.
    await run.leave().catch(() => undefined)
    throw thrown
  }
}
