import { type ErrorCode, type ErrorFacts, ProvostError, toProvostError } from '#shared/errors.ts'
import type { JailJob } from '#shared/job.ts'
import { untilRedisAnswers } from '#shared/redis/until-redis-answers.ts'
import type { OperationReport } from '#shared/report.ts'
import type { JournaledOperation, Undoing } from '../journal/entries.ts'
import type { OperationLog } from './operation-log.ts'
import { describeError, type Reporter } from './report-progress.ts'
import { askerOf, beginRun, flushMarks, type Run, type RunDeps } from './run.ts'
import { leaveSteps, undoSteps } from './undo-steps.ts'

/** After so many kills of its worker an operation is not tried again. */
export const poisonousKills = 3

type End = Parameters<Reporter['next']>[0]

export async function endSucceeded(run: Run): Promise<OperationReport> {
  // The jail may have been started by a run before this one, which was killed.
  if (run.plan.leaves === 'running' && run.reporter.said('jid') === null)
    run.reporter.learn({ jid: (await run.deps.host.findJail(run.job.jail))?.jid ?? null })
  return end(run, { status: 'succeeded', step: null, jailState: run.plan.leaves })
}

/** Undoes what the plan lets undo, and says how that leaves the jail. */
export async function endFailed(run: Run, error: ProvostError, undo = undoSteps): Promise<OperationReport> {
  const cancelled = error.code === 'cancelled'
  const { job, deps } = run
  deps.worlds.leave({ name: job.jail.world, digest: job.jail.worldDigest }, askerOf(job))
  const step = run.reporter.currentStep()
  await noteUndo(run, error, step)
  const touched = run.operation.steps.size > 0
  const notEnded = touched ? await endProcesses(run) : []
  const notUndone = [...notEnded, ...(run.plan.undoes !== 'nothing' && touched ? await undo(run) : [])]
  run.reporter.abandon()
  const clean = notUndone.length === 0
  const message = clean ? error.message : `${error.message} Undoing it failed, too: ${notUndone.join('; ')}`
  return end(run, {
    status: cancelled && clean ? 'cancelled' : 'failed',
    step,
    ...(await jailAfter(run, { cancelled: cancelled && clean, touched })),
    error: { ...describeError(error, step), message },
  })
}

/** First: a worker that is killed meanwhile must not have the next one go forward. */
async function noteUndo(run: Run, error: ProvostError, step: string | null): Promise<void> {
  if (run.plan.undoes === 'nothing' || run.operation.steps.size + run.marks.length === 0) return flushMarks(run)
  const { reporter } = run
  const why = { error: describeError(error, step), failed: reporter.hasFailed(step), percent: reporter.said('percent') }
  try {
    await run.deps.journal.beginUndo(run.operation, why, run.marks)
  } catch (thrown) {
    // On a full disk it is undoing that makes room.
    run.log.note(toProvostError(thrown).message)
  }
  run.marks = []
}

/** Goes on with undoing what a run before this one had begun to undo, for the reason it had. */
export function goOnUndoing(run: Run, { error, failed, percent }: Undoing): Promise<OperationReport> {
  const step = run.steps.find(({ name }) => name === error.step)
  if (step && failed) run.reporter.step(step, 'failed', run.operation.steps.get(step.name)?.attempt ?? 1)
  run.reporter.learn({ step: error.step, percent })
  const { code, message, step: _, ...facts } = error
  return endFailed(run, new ProvostError(code as ErrorCode, message, facts as ErrorFacts))
}

/** What a command left running must not go on making what is undone now. Gives what does not end. */
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

/** Its verdict when it has killed its worker again and again; undoing it is left, too, once that has done so as often. */
export function endPoisoned(run: Run): Promise<OperationReport> {
  const { steps, kills } = run.operation
  const step = run.steps.findLast(({ name }) => steps.get(name)?.mark === 'started')?.name ?? null
  run.reporter.learn({ step })
  const where = step === null ? '' : `, at the end at step ${step}`
  const error = new ProvostError('poisoned', `It has ended its worker three times${where}.`)
  return endFailed(run, error, undoUnlessPoisonous(kills))
}

const undoUnlessPoisonous = (kills: number) => (kills < 2 * poisonousKills ? undoSteps : leaveSteps)

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
  const run = await beginRun(job, log, AbortSignal.abort(), deps)
  return endFailed(run, error, undoUnlessPoisonous(run.operation.kills))
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

type JailAfter = Pick<OperationReport, 'jailState' | 'jid'>

async function jailAfter(
  { job, deps }: Run,
  { cancelled, touched }: { cancelled: boolean; touched: boolean },
): Promise<JailAfter> {
  if (job.kind === 'provision') return { jailState: cancelled ? 'gone' : 'failed', jid: null }
  if (!touched) return { jailState: 'unchanged', jid: null }
  if (job.kind === 'destroy') return { jailState: 'destroying', jid: null }
  if (job.kind === 'start' || job.kind === 'restart') return { jailState: 'stopped', jid: null }
  const found = await deps.host.findJail(job.jail)
  return found ? { jailState: 'running', jid: found.jid } : { jailState: 'stopped', jid: null }
}
