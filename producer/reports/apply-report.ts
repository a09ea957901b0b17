import { bareAddress } from '#shared/addresses.ts'
import { hasEnded } from '#shared/operation.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { FillReport, JailReport, OperationReport } from '#shared/report.ts'
import { unpromise } from '../placement/place-jail.ts'
import { changeStatus } from '../records/operation-lists.ts'
import { endedExpireSeconds, type JailRecord, type OperationRecord, toFields } from '../records/records.ts'
import type { Change } from '../records/scripts.ts'

/**
 * What a report of an operation changes. Pure. Undefined when it changes nothing: it is of an older epoch or attempt, was
 * overtaken by a later one, or the operation has ended.
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

  const key = keys.operation(operation.id)
  const ended = hasEnded(report.status)
  const change: Change = { unchanged: [[key, operation.revision]], commands: [], events: [['operation', operation.id, key]] }
  change.commands.push(
    [
      'HSET',
      key,
      ...toFields({
        status: report.status,
        percent: report.status === 'succeeded' ? 100 : Math.max(operation.percent, Math.min(report.percent, 99)),
        step: report.step,
        steps: report.steps,
        waiting: report.waiting,
        error: report.error,
        sequence: report.sequence,
        startedAt: operation.startedAt ?? report.at,
        finishedAt: ended ? report.at : null,
      }),
    ],
    ...(report.waiting ? [] : [['HDEL', key, 'waiting']]),
  )
  change.commands.push(...changeStatus(operation, report.status, keys))
  if (ended)
    change.commands.push(
      ['EXPIRE', key, String(endedExpireSeconds)],
      ['ZREM', keys.wakeups, operation.id],
      ['ZREM', keys.operations('host', operation.host), operation.id],
      // Only now: it could be moved until here.
      ['DEL', keys.binding(operation.host, operation.id, operation.epoch)],
    )
  // A later operation of the jail speaks for it now.
  if (operation.orphan && ended && report.status !== 'succeeded')
    change.commands.push(['DEL', keys.cleaning(operation.orphan.provision)])
  if (operation.orphan && report.status === 'succeeded')
    change.unhold = {
      held: keys.heldLeases(operation.host),
      holder: keys.forgottenHolder(operation.host),
      addresses: operation.orphan.addresses.map(bareAddress),
    }
  if (report.type === 'operation' && jail?.epoch === report.epoch) addJailChange(change, jail, report, keys)
  return change
}

/** What a report of a jail without an operation changes: it was started again, or stopped by hand. Pure. */
export function applyJailReport(report: JailReport, jail: JailRecord | undefined, keys: RedisKeys): Change | undefined {
  if (!jail || jail.host !== report.host || jail.epoch !== report.epoch) return undefined
  const change: Change = { unchanged: [], commands: [], events: [] }
  addJailChange(change, jail, report, keys)
  return change
}

function addJailChange(change: Change, jail: JailRecord, report: OperationReport | JailReport, keys: RedisKeys): void {
  const key = keys.jail(jail.name)
  change.unchanged.push([key, jail.revision])
  change.events.push(['jail', jail.name, key])
  const { jailState } = report
  if (jailState === 'gone') {
    change.release = jail.leases.map(([address, , cidr]) => [address, keys.returned(cidr), jail.name])
    change.commands.push(
      ['DEL', key],
      ...[keys.jails(), keys.jails('client', jail.client), keys.jails('host', jail.host), keys.jails('state', jail.state)].map(
        (index) => ['ZREM', index, jail.name],
      ),
      ...unpromise(jail.host, jail.limits, keys),
    )
    return
  }
  const state = jailState === 'unchanged' ? jail.state : jailState
  const runs = state === 'running'
  const reason = 'reason' in report ? report.reason : undefined
  change.commands.push([
    'HSET',
    key,
    ...toFields({
      state,
      reason,
      jid: jailState === 'unchanged' ? jail.jid : runs ? report.jid : null,
      isolation: report.isolation,
      updatedAt: report.at,
    }),
  ])
  if (jail.reason !== undefined && reason === undefined) change.commands.push(['HDEL', key, 'reason'])
  if (state !== jail.state)
    change.commands.push(
      ['ZREM', keys.jails('state', jail.state), jail.name],
      ['ZADD', keys.jails('state', state), '0', jail.name],
    )
}
