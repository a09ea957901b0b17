import type { Origin } from '#shared/job.ts'
import { lifeOfJail } from '#shared/operation.ts'
import type { UploadedJail, UploadedOperation } from '#shared/recovery.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { JailReport, OperationReport } from '#shared/report.ts'
import { driftReasons } from '../jails/report-drift.ts'
import { type JournaledJail, type JournaledJob, type JournaledOperation, toJob } from '../journal/entries.ts'
import type { Journal } from '../journal/journal.ts'
import { planOf, stepsOf } from '../plans/plans.ts'
import { operationReporter } from '../plans/report-progress.ts'

/** A jail by the reports of its ended operations: enough for its record. */
type Reported = Pick<OperationReport, 'jailState' | 'jid' | 'at' | 'epoch' | 'isolation'> & {
  lastOperation: string
  provision: string | undefined
  /** Only of a jail that the fleet still has though nothing of it may be on the host, where nothing else has its spec. */
  spec: JournaledJob['spec'] | undefined
}

/** The ended operations of a journal in short, so that memory does not grow with their reports. */
type EndedSummary = {
  /** By jail. */
  reported: Map<string, Reported>
  /** By operation, the epoch of its last attempt here. */
  epochs: Map<string, number>
}

export async function summarizeEnded(journal: Pick<Journal, 'endedOperations'>): Promise<EndedSummary> {
  const summary: EndedSummary = { reported: new Map(), epochs: new Map() }
  for await (const { report, job } of journal.endedOperations()) {
    if (wasMoved(report)) continue
    const { operation, jail, epoch } = report
    summary.epochs.set(operation, Math.max(epoch, summary.epochs.get(operation) ?? 0))
    summary.reported.set(jail, addReport(summary.reported.get(jail), report, job))
  }
  return summary
}

/** An operation that was moved goes on elsewhere; its record says how. */
const wasMoved = ({ error }: OperationReport) => error?.code === 'moved_away'

/** Applies a report as the producer did: what it leaves out stays as an earlier one had it. */
function addReport(before: Reported | undefined, report: OperationReport, job: JournaledJob | undefined): Reported {
  const provision = job?.spec.provision
  const known = before && (provision === undefined || before.provision === provision) ? before : undefined
  const jailState = report.jailState === 'unchanged' ? (known?.jailState ?? 'unchanged') : report.jailState
  const isolation = report.isolation ?? known?.isolation
  return {
    jailState,
    jid: jailState === 'running' ? (report.jid ?? known?.jid ?? null) : null,
    at: report.at,
    epoch: report.epoch,
    lastOperation: report.operation,
    provision: provision ?? known?.provision,
    spec: jailState === 'failed' || jailState === 'destroying' ? (job?.spec ?? known?.spec) : undefined,
    ...(isolation ? { isolation } : {}),
  }
}

/** Yields the jails of this host as the lost records had them. `lastReports`: by jail, the last one between operations. */
export function* uploadedJails(
  journal: Pick<Journal, 'jails' | 'jail'>,
  { reported }: EndedSummary,
  lastReports: ReadonlyMap<string, JailReport>,
): Generator<UploadedJail> {
  for (const jail of journal.jails()) yield uploadedJail(jail, reported.get(jail.spec.name), lastReports.get(jail.spec.name))
  for (const [name, last] of reported) {
    const { spec, epoch, lastOperation, at, isolation } = last
    if (journal.jail(name) || !spec) continue
    const state = last.jailState === 'failed' ? 'failed' : 'destroying'
    yield { type: 'jail', spec, epoch, state, jid: null, lastOperation, at, ...(isolation ? { isolation } : {}) }
  }
}

function uploadedJail(
  { spec, settled, current }: JournaledJail,
  reported: Reported | undefined,
  report: JailReport | undefined,
): UploadedJail {
  const last = reported?.provision === undefined || reported.provision === spec.provision ? reported : undefined
  const epoch = current?.epoch ?? settled?.epoch ?? 0
  const later = report?.epoch === settled?.epoch && report && (!last || report.at > last.at) ? report : undefined
  const isolation = later?.isolation ?? last?.isolation
  const common = {
    type: 'jail' as const,
    spec,
    epoch,
    lastOperation: current?.operation ?? last?.lastOperation ?? spec.provision,
    at: later?.at ?? last?.at ?? fleetTime().toISOString(),
    ...(isolation ? { isolation } : {}),
  }
  if (current) return { ...common, state: lifeOfJail[current.kind].meanwhile[0], jid: null }
  if (settled?.drift) {
    const state = settled.drift.found === 'gone' ? 'failed' : 'stopped'
    return { ...common, state, jid: null, reason: driftReasons[settled.drift.found] }
  }
  if (later) {
    const { jailState: state, jid, reason } = later
    return { ...common, state, jid, ...(reason ? { reason } : {}) }
  }
  if (last && (last.jailState === 'failed' || last.jailState === 'destroying'))
    return { ...common, state: last.jailState, jid: null }
  if (settled?.wanted === 'gone') return { ...common, state: 'failed', jid: null }
  return settled?.wanted === 'running'
    ? { ...common, state: 'running', jid: last?.jid ?? null }
    : { ...common, state: 'stopped', jid: null }
}

/** Yields the operations that have ended here, each in its last attempt, and those that have not ended. */
export async function* uploadedOperations(
  journal: Pick<Journal, 'jails' | 'endedOperations'>,
  { epochs }: EndedSummary,
  host: string,
): AsyncGenerator<UploadedOperation> {
  const open = journal.jails().flatMap(({ current }) => current ?? [])
  const openIds = new Set(open.map(({ operation }) => operation))
  for await (const { report, job } of journal.endedOperations()) {
    if (wasMoved(report) || epochs.get(report.operation) !== report.epoch || openIds.has(report.operation)) continue
    const { kind } = report
    if (!kind) continue
    yield { ...uploadedOperation(report, { kind, plan: job?.plan ?? 1, origin: job?.origin }), finishedAt: report.at }
  }
  for (const operation of open) {
    const { kind, plan, origin } = operation
    const known = planOf(kind, plan, [plan])
    if (!known) continue
    const report = operationReporter(toJob(operation, host), operation, stepsOf(known), async () => undefined).next()
    const step = report.steps.find(({ status }) => status === 'running')?.name ?? null
    yield { ...uploadedOperation({ ...report, step, sequence: 0 }, { kind, plan, origin }), finishedAt: null }
  }
}

function uploadedOperation(
  report: OperationReport,
  { kind, plan, origin }: { kind: JournaledOperation['kind']; plan: number; origin: Origin | undefined },
): Omit<UploadedOperation, 'finishedAt'> {
  const { operation, jail, epoch, attempt, sequence, status, percent, step, steps, error, at } = report
  const startedAt =
    steps
      .map((each) => each.startedAt)
      .filter((each) => each !== null)
      .sort()[0] ?? at
  return {
    type: 'operation',
    ...{ operation, kind, plan, jail, epoch, attempt, sequence, status, percent, step, steps, startedAt },
    ...(error ? { error } : {}),
    origin: origin ?? { createdAt: startedAt },
  }
}
