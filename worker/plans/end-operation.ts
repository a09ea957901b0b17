import { type ErrorCode, type ErrorFacts, ProvostError } from '#shared/errors.ts'
import type { JailJob } from '#shared/job.ts'
import { lifeOfJail } from '#shared/operation.ts'
import type { OperationReport } from '#shared/report.ts'
import { type JournaledOperation, poisonousKills, toJob, type Undoing } from '../journal/entries.ts'
import type { OperationLog } from './operation-log.ts'
import { describeError, type Reporter } from './report-progress.ts'
import { beginRun, type Run, type RunDeps } from './run.ts'
import { leaveSteps, tryUndoing, undoSteps } from './undo-steps.ts'

/** Undoes, as cancelled, an older operation that has not ended: a newer one of its jail is here. */
export async function endSuperseded(job: JailJob, log: OperationLog, deps: RunDeps): Promise<void> {
  const older = deps.journal.jail(job.jail.name)?.current
  if (!older || (older.operation === job.operation && older.epoch === job.epoch)) return
  const error = new ProvostError('cancelled', 'A later operation of the jail took its place.')
  await endAbandoned(older, job.host, error, log, deps)
}

/** Undoes and ends an operation that this host has begun and whose job will not come again. */
export async function endAbandoned(
  operation: JournaledOperation,
  host: string,
  error: ProvostError,
  log: OperationLog,
  deps: RunDeps,
): Promise<OperationReport> {
  return endFailed(await beginRun(toJob(operation, host), log, AbortSignal.abort(), deps), error)
}

/** Returns why a run must not go forward at all; undefined when it may. */
export function failureBefore(run: Run): ProvostError | undefined {
  const { kills, undoing } = run.operation
  if (kills >= poisonousKills) return poisoned(run)
  return undoing && failureUndone(run, undoing)
}

/** Its runs have killed the worker too often. */
function poisoned({ steps, operation, reporter }: Run): ProvostError {
  const step = steps.findLast(({ name }) => operation.steps.get(name)?.mark === 'started')?.name ?? null
  reporter.learn({ step })
  const where = step === null ? '' : `, at the end at step ${step}`
  return new ProvostError('poisoned', `It has ended its worker three times${where}.`)
}

/** An earlier run began to undo it; this one goes on with that, for the same reason. */
function failureUndone({ steps, operation, reporter }: Run, { error, failed, percent }: Undoing): ProvostError {
  const step = steps.find(({ name }) => name === error.step)
  if (step && failed) reporter.step(step, 'failed', operation.steps.get(step.name)?.attempt ?? 1)
  reporter.learn({ step: error.step, percent })
  const { code, message, step: _, ...facts } = error
  return new ProvostError(code as ErrorCode, message, facts as ErrorFacts)
}

export async function endSucceeded(run: Run): Promise<OperationReport> {
  const { reporter, deps, job } = run
  const { succeeded } = lifeOfJail[job.kind]
  // An earlier run, which was killed, may have started the jail.
  if (succeeded === 'running' && reporter.current('jid') === null)
    reporter.learn({ jid: (await deps.host.findJail(job.jail))?.jid ?? null })
  return end(run, { status: 'succeeded', step: null, jailState: succeeded })
}

/** Undoes as the plan has it, and reports how the jail is then. */
export async function endFailed(run: Run, error: ProvostError): Promise<OperationReport> {
  const { job, plan, operation, reporter, asker, deps } = run
  const undoesNothing = plan.undoes === 'nothing'
  deps.worlds.leave({ name: job.jail.world, digest: job.jail.worldDigest }, asker.operation)
  const step = reporter.current('step')
  await (undoesNothing || !run.hasBegun() ? run.mark() : run.beginUndo(error, step))
  const touched = operation.steps.size > 0
  const notEnded = touched ? await endProcesses(run) : []
  // Undoing that has killed the worker as often again is given up, too.
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

/** A process that a command left running must not make again what is undone now. Returns the message about what does not end. */
async function endProcesses(run: Run): Promise<string[]> {
  // Processes that do not end have been waited for already.
  const mayPass = ({ code }: ProvostError) => code === 'host_exhausted'
  const failure = await tryUndoing(run, () => run.deps.host.endProcessesOf(run.job.operation), mayPass)
  return failure === undefined ? [] : [failure]
}

type JailAfter = Pick<OperationReport, 'jailState' | 'jid'>

/** Returns how a jail is after an operation that failed or was cancelled. */
async function jailAfter({ job, deps }: Run, isCancel: boolean, touched: boolean): Promise<JailAfter> {
  const { failed, cancelled = failed } = lifeOfJail[job.kind]
  const state = isCancel ? cancelled : failed
  // There was no jail before a provision that it could be again.
  if (!touched && job.kind !== 'provision') return { jailState: 'unchanged', jid: null }
  if (state !== 'as-it-is') return { jailState: state, jid: null }
  const running = await deps.host.findJail(job.jail)
  return running ? { jailState: 'running', jid: running.jid } : { jailState: 'stopped', jid: null }
}

async function end({ reporter, deps }: Run, change: Parameters<Reporter['next']>[0]): Promise<OperationReport> {
  const report = reporter.next(change)
  await deps.journal.end(report)
  await deps.deliver(report)
  return report
}
