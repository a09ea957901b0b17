import { ProvostError } from '#shared/errors.ts'
import type { JailJob } from '#shared/job.ts'
import type { OperationReport } from '#shared/report.ts'
import type { JournaledOperation } from './journal.ts'
import type { OperationLog } from './operation-log.ts'
import { describeError, type Reporter } from './report-progress.ts'
import { askerOf, beginRun, flushMarks, type Run, type RunDeps } from './run.ts'
import { undoSteps } from './undo-steps.ts'
import { untilRedisAnswers } from './until-redis-answers.ts'

type End = Parameters<Reporter['next']>[0]

export function endSucceeded(run: Run): Promise<OperationReport> {
  return end(run, { status: 'succeeded', step: null, jailState: run.plan.leaves })
}

/** Undoes what the plan lets undo, and says how that leaves the jail. */
export async function endFailed(run: Run, error: ProvostError): Promise<OperationReport> {
  const cancelled = error.code === 'cancelled'
  const { job, deps } = run
  deps.worlds.leave({ name: job.jail.world, digest: job.jail.worldDigest }, askerOf(job))
  const step = run.reporter.currentStep()
  await flushMarks(run)
  const touched = run.operation.steps.size > 0
  const notUndone = run.plan.undoes !== 'nothing' && touched ? await undoSteps(run) : []
  run.reporter.abandon()
  const clean = notUndone.length === 0
  const message = clean ? error.message : `${error.message} Undoing it failed, too: ${notUndone.join('; ')}`
  return end(run, {
    status: cancelled && clean ? 'cancelled' : 'failed',
    step,
    jailState: await jailStateAfter(run, { cancelled: cancelled && clean, touched }),
    error: { ...describeError(error, step), message },
  })
}

/** Ends an operation that this host has begun and whose job does not come any more: it is undone. */
export async function endAbandoned(
  { operation, kind, plan, epoch, attempt, spec }: JournaledOperation,
  host: string,
  error: ProvostError,
  log: OperationLog,
  deps: RunDeps,
): Promise<OperationReport> {
  const envelope = { version: 1, host, issuedAt: new Date().toISOString() } as const
  const job: JailJob = { ...envelope, operation, kind, plan, epoch, attempt, jail: spec }
  return endFailed(await beginRun(job, log, AbortSignal.abort(), deps), error)
}

/** A newer operation of the jail is here: what an older one has left unended is undone first, as cancelled. */
export async function endSuperseded(job: JailJob, log: OperationLog, deps: RunDeps): Promise<void> {
  const older = deps.journal.jail(job.jail.name)?.current
  if (!older || (older.operation === job.operation && older.epoch === job.epoch)) return
  const error = new ProvostError('cancelled', 'A later operation of the jail took its place.')
  await endAbandoned(older, job.host, error, log, deps)
}

async function end(run: Run, change: End): Promise<OperationReport> {
  const report = run.reporter.next(change)
  await run.deps.journal.end(report)
  await untilRedisAnswers(run.deps.stopping, () => run.deps.send(report))
  return report
}

async function jailStateAfter({ job, deps }: Run, { cancelled, touched }: { cancelled: boolean; touched: boolean }) {
  if (job.kind === 'provision') return cancelled ? 'gone' : 'failed'
  if (!touched) return 'unchanged'
  if (job.kind === 'destroy') return 'destroying'
  if (job.kind === 'start' || job.kind === 'restart') return 'stopped'
  return (await deps.host.findJail(job.jail)) ? 'running' : 'stopped'
}
