import { type Batch, type Cause, hasBatchEnded } from '#shared/batch.ts'
import { describeStatus } from '#shared/operation.ts'
import { formatCount, formatDuration } from './amounts.ts'
import { causeLines, causeTable } from './cause-lines.ts'
import { type Fact, factLines } from './fact-lines.ts'
import { bar, durationText } from './operation-lines.ts'

/** A batch as `batch show` prints it. */
export function batchLines(batch: Batch, now: number): string[] {
  return [...progressLines(batch, now), '', ...detailLines(batch)]
}

/** The details of a batch beside its progress: its options, each cause with what to do, and the commands for it. */
export function detailLines(batch: Batch): string[] {
  const { id, name, maxInFlight, canary, maxFailures, maxFailureRate, skipped, createdAt, finishedAt } = batch
  const facts: Fact[] = [
    ['batch', id],
    ['name', name],
    ['destroys', batch.destroys === undefined ? undefined : `the jails of batch ${batch.destroys}`],
    ['gone by', batch.destroyedBy === undefined ? undefined : `batch ${batch.destroyedBy}`],
    ['at once', `at most ${formatCount(maxInFlight)}`],
    [
      'canary',
      canary
        ? `${formatCount(canary)} first, the others if ${maxFailures ? `at most ${formatCount(maxFailures)}` : 'none'} of them failed`
        : undefined,
    ],
    ['pauses', maxFailureRate === undefined ? undefined : `when more than ${+(maxFailureRate * 100).toFixed(2)}% have failed`],
    ['left out', skipped > 0 ? `${formatCount(skipped)} ${skipped === 1 ? 'row that was' : 'rows that were'} wrong` : undefined],
    ['created', createdAt],
    ['finished', finishedAt ?? undefined],
  ]
  return [...factLines(facts), ...section(causeLines(id, batch.causes)), ...section(nextLines(batch))]
}

/** A batch while it runs: without details, which would push the bar off the screen. */
export function liveBatchLines(batch: Batch, now: number): string[] {
  const causes = causeTable(batch.causes).map((line) => `  ${line}`)
  return [...progressLines(batch, now), ...causes, ...(batch.status === 'paused' ? nextLines(batch).slice(0, 1) : [])]
}

/** What to add to a log: every 10 per cent, each change of status, and each new cause. */
export function batchChanges(before: Batch | undefined, batch: Batch): string[] {
  const known = new Set(before?.causes.map(({ id }) => id))
  // What has failed before somebody began to watch is not news, and may be about to be tried again.
  const verb = before ? 'fails' : 'has failed so far'
  const causes = batch.causes
    .filter(({ id }) => !known.has(id))
    .map((cause) => `${batch.name} ${verb}: ${causeText(cause)}: ${cause.message}`)
  if (before && statusText(before) === statusText(batch) && tenth(before) === tenth(batch)) return causes
  const pace = paceText(batch)
  return [`${batch.name} ${percentOf(batch)}%: ${statusText(batch)}: ${countsText(batch)}${pace ? `; ${pace}` : ''}`, ...causes]
}

function causeText({ code, step, world }: Cause): string {
  return `${code}${step ? ` at ${step}` : ''}${world ? ` (${world})` : ''}`
}

/** One bar for the whole batch, the counts, and how long the rest may take. */
function progressLines(batch: Batch, now: number): string[] {
  const percent = percentOf(batch)
  const elapsed = (batch.finishedAt ? Date.parse(batch.finishedAt) : now) - Date.parse(batch.createdAt)
  const pace = paceText(batch)
  return [
    `${batch.name}  ${bar(percent)} ${String(percent).padStart(3)}%  ${formatDuration(elapsed)}  ${statusText(batch)}`,
    `  ${countsText(batch)}`,
    ...(pace ? [`  ${pace}`] : []),
  ]
}

/** The line of a command that does not watch. */
export function batchStatusLine(batch: Batch): string {
  const name = batch.name === batch.id ? '' : ` (${batch.name})`
  const state = hasBatchEnded(batch.status) ? describeStatus(batch.status) : `is ${statusText(batch)}`
  return `Batch ${batch.id}${name} ${state}: ${countsText(batch)}`
}

/** The commands for a batch in its present status. */
export function nextLines({ id, status, counts, finishedAt, destroys }: Batch): string[] {
  const lines = [
    ...(status === 'paused' ? [`to go on: provost batch resume ${id}`, `to end it: provost batch cancel ${id}`] : []),
    ...(status === 'running' ? [`to watch it: provost batch show ${id} --watch`, `to hold it: provost batch pause ${id}`] : []),
    ...(status === 'cancelled' && finishedAt !== null && counts.succeeded > 0 && destroys === undefined
      ? [`to destroy the jails that it made: provost batch destroy ${id}`]
      : []),
    ...(counts.failed > 0 ? [`to try all that failed again: provost batch retry ${id} --watch`] : []),
  ]
  return [...lines, `what became of each jail: provost batch report ${id} --output FILE`]
}

/** The status of a batch, with the reason why it is paused or waits. */
function statusText({ status, reason }: Pick<Batch, 'status' | 'reason'>): string {
  if (!reason) return status
  return status === 'running' ? `running, waiting: ${reason}` : `${status}: ${reason}`
}

export function countsText({ counts }: Pick<Batch, 'counts'>): string {
  const { queued, running, succeeded, failed, cancelled } = counts
  const all = queued + running + succeeded + failed + cancelled
  const parts = Object.entries({ succeeded, failed, cancelled, running, queued }).filter(
    ([name, count]) => count > 0 || name === 'succeeded',
  )
  return `${parts.map(([name, count]) => `${formatCount(count)} ${name}`).join(', ')} of ${formatCount(all)} jails`
}

/** The percentage of rows that have ended; 100 only when all have. */
export function percentOf({ counts, finishedAt }: Pick<Batch, 'counts' | 'finishedAt'>): number {
  if (finishedAt !== null) return 100
  const ended = counts.succeeded + counts.failed + counts.cancelled
  const all = ended + counts.queued + counts.running
  return all === 0 ? 0 : Math.floor((ended / all) * 100)
}

function paceText({ rate, eta, status }: Batch): string {
  if (hasBatchEnded(status)) return ''
  const pace = rate ? `${rate < 10 ? rate.toFixed(1) : formatCount(Math.round(rate))} a minute` : undefined
  return [pace, eta ? `left: ${durationText(eta)}` : undefined].filter((text) => text !== undefined).join(', ')
}

function tenth(batch: Batch): number {
  return Math.floor(percentOf(batch) / 10)
}

function section(lines: string[]): string[] {
  return lines.length > 0 ? ['', ...lines] : []
}
