import { ProvostError } from '#shared/errors.ts'
import { hasEnded } from '#shared/operation.ts'
import type { UploadedJail, UploadedOperation } from '#shared/recovery.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { PlacementHost } from '../placement/choose-host.ts'
import { promise } from '../placement/place-jail.ts'
import { keptSeconds, keyOfRequest } from '../records/idempotency.ts'
import { leaseOf } from '../records/leases.ts'
import { newOperation } from '../records/operation-changes.ts'
import { endedExpireSeconds, type JailRecord, type OperationRecord, toFields } from '../records/records.ts'
import type { Change } from '../records/scripts.ts'

/** What makes the record of a jail that its host has, with its leases and promises; not if there is one of its name. */
export function rebuildJail(host: PlacementHost, uploaded: UploadedJail, keys: RedisKeys): Change {
  const { spec, epoch, state, reason, jid, isolation, lastOperation, at } = uploaded
  const { addresses, ...known } = spec
  return writeJail(
    {
      ...known,
      host: host.id,
      leases: addresses.map((address) => leaseOf(address, host.pools)),
      labels: spec.labels ?? {},
      ...{ state, reason, jid, epoch, isolation, lastOperation },
      createdAt: spec.createdAt ?? at,
      updatedAt: at,
    },
    keys,
  )
}

/** What writes a jail that has no record yet, with its leases and promises. */
export function writeJail(record: Omit<JailRecord, 'revision'>, keys: RedisKeys): Change {
  const { name, client, host, state, leases, limits } = record
  const key = keys.jail(name)
  const lists = [keys.jails(), keys.jails('client', client), keys.jails('host', host), keys.jails('state', state)]
  return {
    unchanged: [[key, '']],
    claim: leases.map(([address]) => [address, name, keys.forgottenHolder(host)]),
    commands: [
      ['HSET', key, ...toFields(record)],
      ...lists.map((list) => ['ZADD', list, '0', name]),
      ...promise(host, limits, keys),
    ],
    events: [['jail', name, key]],
  }
}

/** The record of an operation as its host's journal has it; `conflict`: why its jail is none of the fleet. */
export function rebuiltOperation(host: string, uploaded: UploadedOperation, conflict?: string): OperationRecord {
  const { type: _, operation: id, origin, ...facts } = uploaded
  const operation = newOperation({ ...facts, ...origin, id, host }, new Date(origin.createdAt))
  if (!conflict || hasEnded(operation.status)) return operation
  const { code, message, hint } = new ProvostError('journal_conflict', `Its jail could not be taken in. ${conflict}`)
  const error = { code, message, hint, step: operation.step }
  return { ...operation, status: 'failed', error, finishedAt: new Date().toISOString() }
}

/** What writes it, with the Idempotency-Keys that it answers; `before`: the record of an earlier attempt, if there is one. */
export function rebuildOperation(operation: OperationRecord, before: OperationRecord | undefined, keys: RedisKeys): Change {
  const { revision: _, ...fields } = operation
  const { id, jail, host, status, batch, epoch, createdAt, requests = [] } = operation
  const key = keys.operation(id)
  const lists = [
    keys.operations(),
    keys.operations('status', status),
    ...(jail === null ? [] : [keys.operations('jail', jail)]),
    ...(batch === undefined ? [] : [keys.operations('batch', batch)]),
  ]
  return {
    unchanged: [[key, before?.revision ?? '']],
    commands: [
      ...(before ? [['DEL', key], ...placesOf(before, keys).map((list) => ['ZREM', list, id])] : []),
      ['HSET', key, ...toFields(fields)],
      ...lists.map((list) => ['ZADD', list, '0', id]),
      ...(operation.finishedAt
        ? [['EXPIREAT', key, secondsAfter(operation.finishedAt, endedExpireSeconds)]]
        : [
            ['ZADD', keys.operations('host', host), '0', id],
            ['ZADD', keys.wakeups, '0', id],
            // Its host has begun it, so it cannot be moved.
            ['SET', keys.binding(host, id, epoch), `bound ${epoch}`],
          ]),
      ...requests.flatMap((request) => [
        ['HSET', keyOfRequest(request, keys), 'fingerprint', request.fingerprint, 'operation', id],
        ['EXPIREAT', keyOfRequest(request, keys), secondsAfter(createdAt, keptSeconds)],
      ]),
    ],
    events: [['operation', id, key]],
  }
}

function placesOf({ status, host }: OperationRecord, keys: RedisKeys): string[] {
  return [keys.operations('status', status), keys.operations('host', host), keys.wakeups]
}

function secondsAfter(time: string, seconds: number): string {
  return String(Math.floor(Date.parse(time) / 1000) + seconds)
}
