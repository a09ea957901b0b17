import { ProvostError } from '#shared/errors.ts'
import { hasEnded } from '#shared/operation.ts'
import type { UploadedJail, UploadedOperation } from '#shared/recovery.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { PlacementHost } from '../placement/placement-host.ts'
import { type Change, merge } from '../records/change.ts'
import { rewriteJail, writeJail } from '../records/jails/jail-changes.ts'
import type { JailRecord, NewJail } from '../records/jails/jail-record.ts'
import { leaseFor } from '../records/jails/leases.ts'
import { keptSeconds, keyOfRequest } from '../records/operations/idempotency.ts'
import { newOperation, restoreOperation, secondsAfter } from '../records/operations/operation-changes.ts'
import type { NewOperation, OperationRecord } from '../records/operations/operation-record.ts'

/**
 * Returns the change that writes the record of a jail of a host, with leases and promises, unless its name has a record; `before`:
 * one that is older than the host.
 */
export function rebuildJail(
  host: PlacementHost,
  uploaded: UploadedJail,
  before: JailRecord | undefined,
  keys: RedisKeys,
): Change {
  const jail = rebuiltJail(host, uploaded)
  return before ? rewriteJail(before, jail, keys) : writeJail(jail, keys)
}

function rebuiltJail(host: PlacementHost, uploaded: UploadedJail): NewJail {
  const { spec, epoch, state, reason, jid, isolation, lastOperation, at } = uploaded
  const { addresses, ...known } = spec
  return {
    ...known,
    host: host.id,
    leases: addresses.map((address) => leaseFor(address, host.pools)),
    labels: spec.labels ?? {},
    ...{ state, jid, epoch, lastOperation },
    ...(reason === undefined ? {} : { reason }),
    ...(isolation ? { isolation } : {}),
    createdAt: spec.createdAt ?? at,
    updatedAt: at,
  }
}

/** Returns an operation from its host's journal; `conflict`: why its jail could not get a record. */
export function rebuiltOperation(host: string, uploaded: UploadedOperation, conflict?: string): NewOperation {
  const { type: _, operation: id, origin, ...facts } = uploaded
  const operation = newOperation({ ...facts, ...origin, id, host }, new Date(origin.createdAt))
  if (!conflict || hasEnded(operation.status)) return operation
  const { code, message, hint } = new ProvostError('journal_conflict', `Its jail could not be taken in. ${conflict}`)
  const error = { code, message, hint, step: operation.step }
  return { ...operation, status: 'failed', error, finishedAt: fleetTime().toISOString() }
}

/** Returns the change that writes an operation and its Idempotency-Keys; `before`: the record of an earlier attempt, if any. */
export function rebuildOperation(operation: NewOperation, before: OperationRecord | undefined, keys: RedisKeys): Change {
  const { id, createdAt, requests = [] } = operation
  const commands = requests.flatMap((request) => [
    ['HSET', keyOfRequest(request, keys), 'fingerprint', request.fingerprint, 'operation', id],
    ['EXPIREAT', keyOfRequest(request, keys), secondsAfter(createdAt, keptSeconds)],
  ])
  return merge(restoreOperation(operation, before, keys), { commands })
}
