import { ProvostError } from '#shared/errors.ts'
import type { JailJob } from '#shared/job.ts'
import type { OperationReport } from '#shared/report.ts'
import { beginningOf } from '../journal/entries.ts'
import { cancelled, endedElsewhere, movedAway } from './not-wanted.ts'
import { planOf } from './plans.ts'
import { describeError, operationReporter, reportsPerRun } from './report-progress.ts'
import type { Outcome, RunDeps } from './run.ts'
import { Pause } from './steps/pause.ts'

/** A worker that knows the plan may be started in place of this one; it takes a waiting job at once. */
const unknownPlanAgainMs = 10_000

/** What becomes of a job that has nothing to run here, or not yet. */
export async function settleEarly(job: JailJob, deps: RunDeps): Promise<Outcome | undefined> {
  const ended = await deps.journal.endedReport(job)
  // The job came again, so perhaps nobody heard of the end.
  if (ended) await deps.deliver(await withJidNow(ended, job, deps))
  if (ended) return { type: 'ended', report: ended }

  const refusal = await whyRefused(job, deps)
  if (refusal) return { type: 'ended', report: await refuse(job, refusal, deps) }
  if (!isUnknown(job, deps)) return undefined
  const reason = `a worker that knows plan ${job.kind} in version ${job.plan}`
  return { type: 'paused', pause: new Pause(reason, { delayMs: unknownPlanAgainMs }) }
}

/** Returns the end of an operation as it is to be told now: after a reboot its jail was started again and has another jid. */
async function withJidNow(report: OperationReport, { jail }: JailJob, { host, journal }: RunDeps): Promise<OperationReport> {
  if (report.jailState !== 'running' || journal.epochOf(jail.name) !== report.epoch) return report
  const found = await host.findJail(jail)
  return { ...report, jailState: found ? 'running' : 'stopped', jid: found?.jid ?? null }
}

/** Whether the job's plan, or that of what it would have to undo first, is of a later version than this worker. */
function isUnknown(job: JailJob, { journal, plans }: RunDeps): boolean {
  return [job, journal.jail(job.jail.name)?.current].some((each) => each && !planOf(each.kind, each.plan, plans))
}

async function whyRefused(job: JailJob, deps: RunDeps): Promise<Refusal | undefined> {
  const { name, provision } = job.jail
  const found = deps.journal.jail(name)
  if (found && found.spec.provision !== provision) return refusals.stranger(job)
  if (deps.journal.epochOf(name) > job.epoch) return found ? refusals.lateHere(job) : refusals.lateGone(job)
  if (found?.current?.epoch === job.epoch) return undefined
  const recorded = await deps.recorded(job)
  if (recorded.lost) return refusals.lost(job)
  if (recorded.moved) return refusals.moved(job)
  if (recorded.ended) return refusals.ended(job)
  return recorded.cancelled && isUnknown(job, deps) ? refusals.cancelled(job) : undefined
}

type Refusal = Pick<OperationReport, 'status' | 'jailState'> & { fault?: ProvostError }

const failed = { status: 'failed', jailState: 'unchanged' } as const
const lateFault = ({ host, jail }: JailJob) =>
  new ProvostError('journal_conflict', `Host ${host} has already seen a later operation of jail ${jail.name}.`)

/** What does nothing here: why, and what its operation and its jail come to. */
const refusals = {
  /** A later operation has overtaken it on this host, and the jail itself still is here, or not. */
  lateHere: (job) => ({ ...failed, fault: lateFault(job) }),
  lateGone: (job) => ({ status: 'cancelled', jailState: 'gone', fault: lateFault(job) }),
  /**
   * The host has another jail of this name: the records were lost, or are older than the host. It is somebody's, so it stays
   * as it is; of the jail that is meant nothing is here, so there is nothing to destroy.
   */
  stranger({ kind, host, jail }) {
    if (kind === 'destroy') return { status: 'succeeded', jailState: 'gone' }
    const message = `Host ${host} has another jail called ${jail.name}, which the fleet does not know.`
    const hint = 'Choose another name or another host; the jail that is there is not touched.'
    return { ...ifNew(kind, 'failed'), fault: new ProvostError('journal_conflict', message, { hint }) }
  },
  /** It was moved to another host before it began here. Nobody needs to hear of this: the record is of a later epoch. */
  moved: (job) => ({ ...ifNew(job.kind, 'failed'), fault: movedAway(job) }),
  /** It was ended before it began here: its record has its verdict. */
  ended: (job) => ({ ...failed, fault: endedElsewhere(job) }),
  /** Redis has lost its record before it began here, so whoever asked for it has to ask again. */
  lost: ({ operation }) => ({
    ...failed,
    fault: new ProvostError('records_lost', `Redis has no record of operation ${operation} any more.`),
  }),
  /** It was cancelled before it began here. */
  cancelled: ({ kind }) => ({ ...ifNew(kind, 'gone'), status: 'cancelled', fault: cancelled() }),
} as const satisfies Record<string, (job: JailJob) => Refusal>

/** A failure that leaves a jail as it was, unless it was only to be made. */
function ifNew(kind: JailJob['kind'], jailState: 'failed' | 'gone') {
  return { status: 'failed', jailState: kind === 'provision' ? jailState : 'unchanged' } as const
}

// No report of a run counts as later than a refusal.
const lastRun = 1_000_000
/** The number of a refusal that follows no run. */
export const lastSequence = lastRun * reportsPerRun

async function refuse(job: JailJob, { fault, ...change }: Refusal, deps: RunDeps): Promise<OperationReport> {
  const nothing = { ...beginningOf({ ...job, spec: job.jail }), run: lastRun }
  const error = fault ? { error: describeError(fault, null) } : {}
  const report = operationReporter(job, nothing, [], deps.send).next({ ...change, step: null, ...error })
  await deps.deliver(report)
  return report
}
