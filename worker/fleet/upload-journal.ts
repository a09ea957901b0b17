import type { JailState } from '#shared/jail.ts'
import type { Origin } from '#shared/job.ts'
import type { UploadedJail, UploadedOperation } from '#shared/recovery.ts'
import type { JailReport, OperationReport } from '#shared/report.ts'
import { driftReasons } from '../jails/tell-drift.ts'
import type { JournaledJail, JournaledJob, JournaledOperation } from '../journal/entries.ts'
import type { Journal } from '../journal/journal.ts'
import { planOf, stepsOf } from '../plans/plans.ts'
import { operationReporter } from '../plans/report-progress.ts'

/** What the fleet was told of a jail by what ended on it: enough for its record. */
type Told = Pick<OperationReport, 'jailState' | 'jid' | 'at' | 'epoch' | 'isolation'> & {
  lastOperation: string
  provision: string | undefined
  /** Of a jail that stays a jail of the fleet though nothing of it may be on the host, where nothing else has its spec. */
  spec: JournaledJob['spec'] | undefined
}

/** What a journal's ended operations come to, in memory that does not grow with their reports. */
export type EndedSummary = {
  told: Map<string, Told>
  /** By operation, the epoch of its last attempt here. */
  epochs: Map<string, number>
}

export async function summarizeEnded(journal: Pick<Journal, 'endedOperations'>): Promise<EndedSummary> {
  const summary: EndedSummary = { told: new Map(), epochs: new Map() }
  for await (const { report, job } of journal.endedOperations()) {
    if (wasMoved(report)) continue
    const { operation, jail, epoch } = report
    summary.epochs.set(operation, Math.max(epoch, summary.epochs.get(operation) ?? 0))
    summary.told.set(jail, tellAgain(summary.told.get(jail), report, job))
  }
  return summary
}

/** Its record says how it goes on elsewhere. */
const wasMoved = ({ error }: OperationReport) => error?.code === 'moved_away'

/** As the producer applied it: what a report leaves out stays as an earlier one said it. */
function tellAgain(before: Told | undefined, report: OperationReport, job: JournaledJob | undefined): Told {
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

/** Where a jail is while an operation is at it. */
const atWork: Record<JournaledOperation['kind'], JailState> = {
  provision: 'building',
  start: 'starting',
  stop: 'stopping',
  restart: 'stopping',
  destroy: 'destroying',
}

/** The jails of this host as the lost records had them; `found`: what was reported of them without an operation. */
export function* uploadedJails(
  journal: Pick<Journal, 'jails' | 'jail'>,
  { told }: EndedSummary,
  found: ReadonlyMap<string, JailReport>,
): Generator<UploadedJail> {
  for (const jail of journal.jails()) yield uploadedJail(jail, told.get(jail.spec.name), found.get(jail.spec.name))
  for (const [name, last] of told) {
    const { spec, epoch, lastOperation, at, isolation } = last
    if (journal.jail(name) || !spec) continue
    const state = last.jailState === 'failed' ? 'failed' : 'destroying'
    yield { type: 'jail', spec, epoch, state, jid: null, lastOperation, at, ...(isolation ? { isolation } : {}) }
  }
}

function uploadedJail(
  { spec, settled, current }: JournaledJail,
  told: Told | undefined,
  found: JailReport | undefined,
): UploadedJail {
  const last = told?.provision === undefined || told.provision === spec.provision ? told : undefined
  const epoch = current?.epoch ?? settled?.epoch ?? 0
  const foundLast = found?.epoch === settled?.epoch && found && (!last || found.at > last.at) ? found : undefined
  const isolation = foundLast?.isolation ?? last?.isolation
  const common = {
    type: 'jail' as const,
    spec,
    epoch,
    lastOperation: current?.operation ?? last?.lastOperation ?? spec.provision,
    at: foundLast?.at ?? last?.at ?? new Date().toISOString(),
    ...(isolation ? { isolation } : {}),
  }
  if (current) return { ...common, state: atWork[current.kind], jid: null }
  if (settled?.drift) {
    const state = settled.drift.found === 'gone' ? 'failed' : 'stopped'
    return { ...common, state, jid: null, reason: driftReasons[settled.drift.found] }
  }
  if (foundLast) {
    const { jailState: state, jid, reason } = foundLast
    return { ...common, state, jid, ...(reason ? { reason } : {}) }
  }
  if (last && (last.jailState === 'failed' || last.jailState === 'destroying'))
    return { ...common, state: last.jailState, jid: null }
  if (settled?.wanted === 'gone') return { ...common, state: 'failed', jid: null }
  return settled?.wanted === 'running'
    ? { ...common, state: 'running', jid: last?.jid ?? null }
    : { ...common, state: 'stopped', jid: null }
}

/** The operations that have ended here, each in its last attempt, and those that this host is in the middle of. */
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
    const { kind, plan, origin, epoch, attempt, spec } = operation
    const job = {
      version: 1,
      operation: operation.operation,
      kind,
      plan,
      host,
      epoch,
      attempt,
      issuedAt: '',
      jail: spec,
    } as const
    const known = planOf(kind, plan, [plan])
    if (!known) continue
    const report = operationReporter(job, operation, stepsOf(known), async () => undefined).next()
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
