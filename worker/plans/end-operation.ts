import { type ErrorCode, type ErrorFacts, ProvostError, toProvostError } from '#shared/errors.ts'
import type { JailJob } from '#shared/job.ts'
import type { OperationReport } from '#shared/report.ts'
import { type JournaledOperation, poisonousKills, type Undoing } from '../journal/entries.ts'
import type { OperationLog } from './operation-log.ts'
import { describeError, type Reporter } from './report-progress.ts'
import { beginRun, type Run, type RunDeps } from './run.ts'
import { leaveSteps, undoSteps } from './undo-steps.ts'

/** A newer operation of the jail is here: what an older one has left unended is undone first, as cancelled. */
export async function endSuperseded(job: JailJob, log: OperationLog, deps: RunDeps): Promise<void> {
  const older = deps.journal.jail(job.jail.name)?.current
  if (!older || (older.operation === job.operation && older.epoch === job.epoch)) return
  const error = new ProvostError('cancelled', 'A later operation of the jail took its place.')
  await endAbandoned(older, job.host, error, log, deps)
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

/** Returns why a run is not to go forward from its very beginning, if so. */
export function failureBefore(run: Run): ProvostError | undefined {
  const { kills, undoing } = run.operation
  if (kills >= poisonousKills) return poisoned(run)
  return undoing && failureUndone(run, undoing)
}

/** It has ended its worker again and again. */
function poisoned({ steps, operation, reporter }: Run): ProvostError {
  const step = steps.findLast(({ name }) => operation.steps.get(name)?.mark === 'started')?.name ?? null
  reporter.learn({ step })
  const where = step === null ? '' : `, at the end at step ${step}`
  return new ProvostError('poisoned', `It has ended its worker three times${where}.`)
}

/** A run before this one had begun to undo it; this one goes on, for the reason that it had. */
function failureUndone({ steps, operation, reporter }: Run, { error, failed, percent }: Undoing): ProvostError {
  const step = steps.find(({ name }) => name === error.step)
  if (step && failed) reporter.step(step, 'failed', operation.steps.get(step.name)?.attempt ?? 1)
  reporter.learn({ step: error.step, percent })
  const { code, message, step: _, ...facts } = error
  return new ProvostError(code as ErrorCode, message, facts as ErrorFacts)
}

export async function endSucceeded(run: Run): Promise<OperationReport> {
  const { plan, reporter, deps, job } = run
  // The jail may have been started by a run before this one, which was killed.
  if (plan.leaves === 'running' && reporter.said('jid') === null)
    reporter.learn({ jid: (await deps.host.findJail(job.jail))?.jid ?? null })
  return end(run, { status: 'succeeded', step: null, jailState: plan.leaves })
}

/** Undoes what the plan lets undo, and says how that leaves the jail. */
export async function endFailed(run: Run, error: ProvostError): Promise<OperationReport> {
  const { job, plan, operation, reporter, asker, deps } = run
  const undoesNothing = plan.undoes === 'nothing'
  deps.worlds.leave({ name: job.jail.world, digest: job.jail.worldDigest }, asker.operation)
  const step = reporter.currentStep()
  await (undoesNothing || !run.hasBegun() ? run.mark() : run.beginUndo(error, step))
  const touched = operation.steps.size > 0
  const notEnded = touched ? await endProcesses(run) : []
  // Undoing that has ended the worker as often is left, too.
  const undo = operation.kills < 2 * poisonousKills ? undoSteps : leaveSteps
  const notUndone = [...notEnded, ...(touched && !undoesNothing ? await undo(run) : [])]
  reporter.abandon()
  const clean = notUndone.length === 0
  const isCancel = error.code === 'cancelled' && clean
  const message = clean ? error.message : `${error.message} Undoing it failed, too: ${notUndone.join('; ')}`
  return end(run, {
    status: isCancel ? 'cancelled' : 'failed',
    step,
    ...(await jailAfter(run, isCancel, touched)),
    error: { ...describeError(error, step), message },
  })
}

/** What a command left running must not go on making what is undone now. Returns what does not end. */
async function endProcesses({ deps, job, log }: Run): Promise<string[]> {
  try {
    await deps.host.endProcessesOf(job.operation)
    return []
  } catch (thrown) {
    const { code, message } = toProvostError(thrown)
    log.note(`${code}: ${message}`)
    return [message]
  }
}

type JailAfter = Pick<OperationReport, 'jailState' | 'jid'>

/** Returns how a jail is after an operation that failed or was cancelled. */
async function jailAfter({ job, deps }: Run, isCancel: boolean, touched: boolean): Promise<JailAfter> {
  if (job.kind === 'provision') return { jailState: isCancel ? 'gone' : 'failed', jid: null }
  if (!touched) return { jailState: 'unchanged', jid: null }
  if (job.kind === 'destroy') return { jailState: 'destroying', jid: null }
  if (job.kind === 'start' || job.kind === 'restart') return { jailState: 'stopped', jid: null }
  const found = await deps.host.findJail(job.jail)
  return found ? { jailState: 'running', jid: found.jid } : { jailState: 'stopped', jid: null }
}

async function end({ reporter, deps }: Run, change: Parameters<Reporter['next']>[0]): Promise<OperationReport> {
  const report = reporter.next(change)
  await deps.journal.end(report)
  await deps.deliver(report)
  return report
}
