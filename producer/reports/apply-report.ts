import { hasEnded } from '#shared/operation.ts'
import { fleetTimeMs } from '#shared/redis/fleet-clock.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { FillReport, JailReport, OperationReport } from '#shared/report.ts'
import { type Change, merge } from '../records/change.ts'
import { changeJail, dropJail } from '../records/jails/jail-changes.ts'
import type { JailRecord } from '../records/jails/jail-record.ts'
import { changeOperation, endOperation } from '../records/operations/operation-changes.ts'
import type { OperationRecord } from '../records/operations/operation-record.ts'

/**
 * Returns what a report of an operation changes. Undefined if it changes nothing: it is of an older epoch or attempt, a later
 * report was applied already, or the operation has ended.
 */
export function applyOperationReport(
  report: OperationReport | FillReport,
  operation: OperationRecord | undefined,
  jail: JailRecord | undefined,
  keys: RedisKeys,
): Change | undefined {
  if (!operation || hasEnded(operation.status)) return undefined
  if (report.epoch !== operation.epoch || report.attempt !== operation.attempt) return undefined
  if (report.host !== operation.host || report.sequence <= operation.sequence) return undefined

  const { status, step, steps, waiting, error, sequence } = report
  const startedAt = operation.startedAt ?? between(operation.createdAt, report.at)
  const facts = {
    ...{ step, steps, waiting, sequence },
    ...(error ? { error } : {}),
    percent: status === 'succeeded' ? 100 : Math.max(operation.percent, Math.min(report.percent, 99)),
    startedAt,
  }
  const change =
    status === 'running'
      ? changeOperation(operation, { ...facts, status, finishedAt: null }, keys)
      : endOperation(operation, { ...facts, status, finishedAt: between(startedAt, report.at) }, keys)
  // Otherwise the state of the jail is for a later operation to report.
  const isItsJail = report.type === 'operation' && jail?.epoch === report.epoch
  return isItsJail ? merge(change, jailChange(jail, report, keys)) : change
}

/** Returns a time by a worker, but none before another or ahead of now: one of an older version tells that of its own clock. */
function between(earliest: string, at: string): string {
  const ms = Math.max(Date.parse(earliest), Math.min(Date.parse(at), fleetTimeMs()))
  return new Date(ms).toISOString()
}

/** Returns what a report of a jail without an operation changes: it was started again, or stopped by hand. Pure. */
export function applyJailReport(report: JailReport, jail: JailRecord | undefined, keys: RedisKeys): Change | undefined {
  if (!jail || jail.host !== report.host || jail.epoch !== report.epoch) return undefined
  return jailChange(jail, report, keys)
}

function jailChange(jail: JailRecord, report: OperationReport | JailReport, keys: RedisKeys): Change {
  const { jailState, isolation, at } = report
  if (jailState === 'gone') return dropJail(jail, keys)
  const facts = {
    reason: 'reason' in report ? report.reason : undefined,
    ...(isolation ? { isolation } : {}),
    updatedAt: at,
  }
  if (jailState === 'unchanged') return changeJail(jail, facts, keys)
  const jid = jailState === 'running' ? report.jid : null
  return changeJail(jail, { ...facts, state: jailState, jid, commandState: commandStateAfter(jail, report) }, keys)
}

/** That of a running jail only: what is not reported of it stays as it was while it runs on. */
function commandStateAfter(jail: JailRecord, { jailState, commandState, jid }: OperationReport | JailReport) {
  if (commandState || jailState !== 'running') return commandState
  return jail.state === 'running' && jail.jid === jid ? jail.commandState : undefined
}
