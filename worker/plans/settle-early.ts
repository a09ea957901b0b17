import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { JailJob } from '#shared/job.ts'
import type { OperationReport } from '#shared/report.ts'
import { lacksPermission, privilegeNotAllowed } from '../host/jails/require-privileges.ts'
import { beginningOf } from '../journal/entries.ts'
import { planOf } from './plans.ts'
import { cancelled, endedElsewhere, movedAway } from './recorded.ts'
import { describeError, operationReporter, reportsPerRun } from './report-progress.ts'
import type { Outcome, RunDeps } from './run.ts'
import { Pause } from './steps/pause.ts'

/** After how long a job of an unknown plan is tried again; a worker that knows the plan takes the waiting job at its start. */
const unknownPlanAgainMs = 10_000

/** Settles a job that has nothing to run here, or not yet; returns undefined for any other. */
export async function settleEarly(job: JailJob, deps: RunDeps): Promise<Outcome | undefined> {
  const ended = await deps.journal.endedReport(job)
  // The job came again, so its last report may never have arrived.
  if (ended) await deps.deliver(await withJidNow(ended, job, deps))
  if (ended) return { type: 'ended', report: ended }

  const refusal = await whyRefused(job, deps)
  if (refusal) return { type: 'ended', report: await refuse(job, refusal, deps) }
  if (!isUnknown(job, deps)) return undefined
  const reason = `a worker that knows plan ${job.kind} in version ${job.plan}`
  return { type: 'paused', pause: new Pause(reason, { delayMs: unknownPlanAgainMs }) }
}

/** Returns the last report of an operation with the jail as it is now: a jail that was started after a reboot has another jid. */
async function withJidNow(report: OperationReport, { jail }: JailJob, { host, journal }: RunDeps): Promise<OperationReport> {
  if (report.jailState !== 'running' || journal.epochOf(jail.name) !== report.epoch) return report
  const running = await host.findJail(jail)
  return { ...report, jailState: running ? 'running' : 'stopped', jid: running?.jid ?? null }
}

/** Whether this worker does not know the version of the job's plan, or of the plan that it would have to undo first. */
function isUnknown(job: JailJob, { journal, plans }: RunDeps): boolean {
  return [job, journal.jail(job.jail.name)?.current].some((each) => each && !planOf(each.kind, each.plan, plans))
}

async function whyRefused(job: JailJob, deps: RunDeps): Promise<Refusal | undefined> {
  const { name, provision } = job.jail
  const jail = deps.journal.jail(name)
  const isStranger = jail !== undefined && jail.spec.provision !== provision
  if (isStranger && job.kind === 'provision') return refusals.stranger(job)
  if (!isStranger && deps.journal.epochOf(name) > job.epoch) return jail ? refusals.lateHere(job) : refusals.lateGone(job)
  if (!isStranger && jail?.current?.epoch === job.epoch) return undefined
  const recorded = await deps.recorded(job)
  if (recorded.lost) return refusals.lost(job)
  if (recorded.moved) return refusals.moved(job)
  if (recorded.ended) return refusals.ended(job)
  if (recorded.cancelled && isUnknown(job, deps)) return refusals.cancelled(job)
  if (recorded.isJailHere && !deps.journal.accountsFor(name, provision))
    return refusals.notInJournal(job, deps.journal.setAside(name))
  if (isStranger) return refusals.stranger(job)
  if (job.kind !== 'stop' && job.kind !== 'destroy' && lacksPermission(deps.host.supports, job.jail))
    return refusals.notAllowed(job)
  return jail ? whyNotStartable(job, deps) : whyNotEmpty(job, deps)
}

/** A restart must not take down what it cannot start again. */
async function whyNotStartable(job: JailJob, { host }: RunDeps): Promise<Refusal | undefined> {
  if (job.kind !== 'start' && job.kind !== 'restart') return undefined
  const fault = await host.requireStartable(job.jail).then(() => undefined, toProvostError)
  // Anything else may pass: the steps that meet it try again.
  return fault && (fault.code === 'not_built' || fault.code === 'address_not_in_pool') ? { ...failed, fault } : undefined
}

/** A new jail must not find the files of another one of its name, which the journal has lost. */
async function whyNotEmpty(job: JailJob, { host, journal }: RunDeps): Promise<Refusal | undefined> {
  if (job.kind !== 'provision') return undefined
  const isLost = journal.setAside(job.jail.name) !== undefined || (await host.hasRoot(job.jail))
  return isLost ? refusals.stranger(job) : undefined
}

type Refusal = Pick<OperationReport, 'status' | 'jailState'> & { fault?: ProvostError }

const failed = { status: 'failed', jailState: 'unchanged' } as const
const lateFault = ({ host, jail }: JailJob) =>
  new ProvostError('journal_conflict', `Host ${host} has already seen a later operation of jail ${jail.name}.`)

/** By reason why a job does nothing here: the status of its operation, the state of its jail, and the error. */
const refusals = {
  /** A later operation has overtaken it on this host; the jail is still here, or gone. */
  lateHere: (job) => ({ ...failed, fault: lateFault(job) }),
  lateGone: (job) => ({ status: 'cancelled', jailState: 'gone', fault: lateFault(job) }),
  /**
   * The host has another jail of this name: the records were lost, or are older than the host. It is somebody's, so it is not
   * touched; nothing of the jail that is meant is here, so there is nothing to destroy.
   */
  stranger({ kind, host, jail }) {
    if (kind === 'destroy') return { status: 'succeeded', jailState: 'gone' }
    const message = `Host ${host} has another jail called ${jail.name}, which the fleet does not know.`
    const hint = 'Choose another name or another host; the jail that is there is not touched.'
    return { ...ifNew(kind, 'failed'), fault: new ProvostError('journal_conflict', message, { hint }) }
  },
  /** The fleet's record says that this host has the jail, and its journal has never seen it: nothing is known to be gone. */
  notInJournal({ host, jail: { name } }: JailJob, file: string | undefined) {
    const where = file === undefined ? '' : ` The file about it cannot be read and was set aside as ${file}.`
    const message = `The journal of host ${host} does not have jail ${name}.${where}`
    const hint = `Bring the host's journal back and start its worker again; \`provost hosts clean ${host} ${name}\` gives the jail up.`
    return { ...failed, fault: new ProvostError('journal_conflict', message, { hint }) }
  },
  /** Its queue has asked for more than its host's owner allows, or the owner has taken that back: what runs is left to run on. */
  notAllowed: ({ kind, jail }) => ({ ...ifNew(kind, 'failed'), fault: privilegeNotAllowed(jail) }),
  /** It was moved to another host before it began here. The report changes nothing: the record is of a later epoch. */
  moved: (job) => ({ ...ifNew(job.kind, 'failed'), fault: movedAway(job) }),
  /** It was ended before it began here: its record has its verdict. */
  ended: (job) => ({ ...failed, fault: endedElsewhere(job) }),
  /** Redis lost its record before it began here, so its caller has to ask again. */
  lost: ({ operation }) => ({
    ...failed,
    fault: new ProvostError('records_lost', `Redis has no record of operation ${operation} any more.`),
  }),
  /** It was cancelled before it began here. */
  cancelled: ({ kind }) => ({ ...ifNew(kind, 'gone'), status: 'cancelled', fault: cancelled() }),
} as const satisfies Record<string, (job: JailJob, file: string | undefined) => Refusal>

/** A failure that leaves the jail unchanged, unless it was yet to be made. */
function ifNew(kind: JailJob['kind'], jailState: 'failed' | 'gone') {
  return { status: 'failed', jailState: kind === 'provision' ? jailState : 'unchanged' } as const
}

// Beyond any run: no report of a run counts as later than a refusal.
const lastRun = 1_000_000
/** The sequence of a refusal, which follows no run. */
export const lastSequence = lastRun * reportsPerRun

async function refuse(job: JailJob, { fault, ...change }: Refusal, deps: RunDeps): Promise<OperationReport> {
  const nothing = { ...beginningOf({ ...job, spec: job.jail }), run: lastRun }
  const error = fault ? { error: describeError(fault, null) } : {}
  const report = operationReporter(job, nothing, [], deps.send).next({ ...change, step: null, ...error })
  await noteRefused(job, deps)
  await deps.deliver(report)
  return report
}

/**
 * Notes the epoch of what was refused: the fleet takes no report of a jail that is older than what was asked last, and would never
 * hear that it was stopped or started by hand, or by a reboot. Not of one that could not be brought up: with another epoch it would be
 * taken for one that somebody stopped.
 */
export async function noteRefused(
  { jail, epoch }: { jail: { name: string; provision?: string | undefined }; epoch: number },
  { host, journal }: Pick<RunDeps, 'host' | 'journal'>,
): Promise<void> {
  const { spec, settled, current } = journal.jail(jail.name) ?? {}
  if (spec?.provision !== jail.provision || !spec || !settled || current || settled.epoch >= epoch) return
  const isRunning = async () => (await host.findJail(spec).catch(() => undefined)) !== undefined
  if (settled.wanted === 'stopped' || (settled.wanted === 'running' && (await isRunning())))
    await journal.noteRefused(jail.name, epoch)
}
