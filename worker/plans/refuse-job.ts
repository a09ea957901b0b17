import { ProvostError } from '#shared/errors.ts'
import type { JailJob } from '#shared/job.ts'
import type { OperationReport } from '#shared/report.ts'
import { beginningOf } from '../journal/entries.ts'
import { describeError, operationReporter, reportsPerRun } from './report-progress.ts'
import { endedElsewhere, movedAway, type RunDeps } from './run.ts'

type Deps = Pick<RunDeps, 'send'>
type Change = Pick<OperationReport, 'status' | 'jailState'>

/** An operation that a later one has overtaken on this host does nothing here; `isHere`: the jail itself still is. */
export function refuseLate(job: JailJob, isHere: boolean, deps: Deps): Promise<OperationReport> {
  const message = `Host ${job.host} has already seen a later operation of jail ${job.jail.name}.`
  const change = isHere
    ? ({ status: 'failed', jailState: 'unchanged' } as const)
    : ({ status: 'cancelled', jailState: 'gone' } as const)
  return refuse(job, new ProvostError('journal_conflict', message), change, deps)
}

/**
 * The host has another jail of this name: the records were lost, or are older than the host. It is somebody's, so it stays
 * as it is; of the jail that is meant nothing is here, so there is nothing to destroy.
 */
export function refuseStranger(job: JailJob, deps: Deps): Promise<OperationReport> {
  if (job.kind === 'destroy') return refuse(job, undefined, { status: 'succeeded', jailState: 'gone' }, deps)
  const message = `Host ${job.host} has another jail called ${job.jail.name}, which the fleet does not know.`
  const hint = 'Choose another name or another host; the jail that is there is not touched.'
  const jailState = job.kind === 'provision' ? 'failed' : 'unchanged'
  return refuse(job, new ProvostError('journal_conflict', message, { hint }), { status: 'failed', jailState }, deps)
}

/** It was moved to another host before it began here. Nobody needs to hear of this: the record is of a later epoch. */
export function refuseMoved(job: JailJob, deps: Deps): Promise<OperationReport> {
  return refuse(job, movedAway(job), { status: 'failed', jailState: job.kind === 'provision' ? 'failed' : 'unchanged' }, deps)
}

/** It was ended before it began here: its record has its verdict. */
export function refuseEnded(job: JailJob, deps: Deps): Promise<OperationReport> {
  return refuse(job, endedElsewhere(job), { status: 'failed', jailState: 'unchanged' }, deps)
}

/** Redis has lost its record before it began here, so whoever asked for it has to ask again. */
export function refuseLost(job: JailJob, deps: Deps): Promise<OperationReport> {
  const error = new ProvostError('records_lost', `Redis has no record of operation ${job.operation} any more.`)
  return refuse(job, error, { status: 'failed', jailState: 'unchanged' }, deps)
}

/** It was cancelled before it began here. */
export function refuseCancelled(job: JailJob, deps: Deps): Promise<OperationReport> {
  const error = new ProvostError('cancelled', 'The operation was cancelled.')
  return refuse(job, error, { status: 'cancelled', jailState: job.kind === 'provision' ? 'gone' : 'unchanged' }, deps)
}

// No report of a run counts as later than a refusal.
const lastRun = 1_000_000
/** The number of a refusal that follows no run. */
export const lastSequence = lastRun * reportsPerRun

async function refuse(job: JailJob, fault: ProvostError | undefined, change: Change, deps: Deps): Promise<OperationReport> {
  const nothing = { ...beginningOf({ ...job, spec: job.jail }), run: lastRun }
  const error = fault ? { error: describeError(fault, null) } : {}
  const report = operationReporter(job, nothing, [], deps.send).next({ ...change, step: null, ...error })
  await deps.send(report)
  return report
}
