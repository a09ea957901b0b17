import type { Redis } from 'ioredis'
import { v7 as uuid } from 'uuid'
import { ProvostError } from '#shared/errors.ts'
import { type CreateJail, defaultHostname, type Jail } from '#shared/jail.ts'
import { planVersion } from '#shared/job.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { Held } from '../batches/hold-batch.ts'
import { claimerOf } from '../batches/intake/claim-names.ts'
import { refusalError } from '../placement/choose-host.ts'
import { type PlaceDeps, type PlaceInput, placeJail, type Trial, tryPlaces } from '../placement/place-jail.ts'
import { keptRequest } from '../records/idempotency.ts'
import { changeStatus } from '../records/operation-lists.ts'
import { type JailRecord, type OperationRecord, type Records, toFields } from '../records/records.ts'
import type { Idempotency } from '../records/scripts.ts'

export type Accepted = { jail: JailRecord; operation: OperationRecord }
export type AdmitAnswer = { type: 'admitted'; accepted: Accepted } | { type: 'replayed'; operation: string }

type More = {
  /** A cancelled provision that is admitted once more under its own id. */
  again?: OperationRecord
  batch?: string
  /** Which row of the batch it is made for. */
  row?: number
  /** Who must hold the batch. */
  held?: Held
}

/**
 * Admits a jail: claims its name, leases its addresses, promises its limits and writes its records, in one atomic script;
 * or does none of it.
 *
 * @throws ProvostError why not: `name_taken`, `no_capacity`, `no_free_address`, …, `idempotency_key_reused`.
 */
export async function admitJail(
  ask: CreateJail,
  idempotency: Idempotency | undefined,
  deps: PlaceDeps,
  more: More = {},
): Promise<AdmitAnswer> {
  const { jail, operation } = newRecords(ask, more)
  if (idempotency) operation.requests = [...(more.again?.requests ?? []), keptRequest(idempotency, deps.keys)]
  const input = inputOf(jail, operation, deps.keys, more)
  if (deps.fleet) input.unchanged.push([deps.keys.fleet, deps.fleet()])
  const answer = await placeJail(ask, { ...input, idempotency }, deps)
  switch (answer.type) {
    case 'placed': {
      const { host, leases, limits, worldDigest, epoch, revisions } = answer.placed
      const [jailRevision, operationRevision] = revisions
      return {
        type: 'admitted',
        accepted: {
          jail: { ...jail, host, leases, limits, worldDigest, epoch, revision: jailRevision },
          operation: { ...operation, host, epoch, revision: operationRevision },
        },
      }
    }
    case 'replayed':
      return answer
    case 'reused':
      throw new ProvostError('idempotency_key_reused', 'This Idempotency-Key stands for another request.')
    case 'taken':
      throw nameTaken(ask.name, answer.operation)
    case 'claimed':
      throw nameClaimed(ask.name, answer.batch)
    default:
      if (answer.type === 'changed' && !more.again)
        throw new ProvostError('queue_unavailable', 'Redis has just lost its records.', { retryAfter: 2 })
      throw new ProvostError('not_retryable', 'The operation has just been changed by somebody else.')
  }
}

/** What a dry run answers: where the jail would go, or why nowhere, and how each host stands to it. */
export type DryRun = {
  fits: boolean
  host: string | null
  addresses: string[]
  limits: Jail['limits'] | null
  reason?: { code: string; detail: string }
  hosts: Omit<Trial, 'addresses' | 'limits'>[]
}

/** Says what would become of a request for a jail, and why, for each host. @throws ProvostError `unknown_host`. */
export async function tryAdmission(ask: CreateJail, deps: PlaceDeps & { records: Records; redis: Redis }): Promise<DryRun> {
  const { jail, operation } = newRecords(ask)
  const trials = await tryPlaces(ask, { ...inputOf(jail, operation, deps.keys, {}), newName: false }, deps)
  const hosts = trials.map(({ addresses: _a, limits: _l, ...shown }) => shown)
  const first = trials.find(({ fits }) => fits)
  const known = await deps.records.jail(ask.name)
  const nowhere = { fits: false, host: null, addresses: [], limits: null, hosts }
  const claimer = await claimerOf(ask.name, deps)
  if (known || claimer !== undefined) {
    const { code, message } = known ? nameTaken(ask.name, known.lastOperation) : nameClaimed(ask.name, claimer ?? '')
    return { ...nowhere, reason: { code, detail: message } }
  }
  if (first) return { fits: true, host: first.host, addresses: first.addresses, limits: first.limits, hosts }
  const { code, message } = refusalError(
    hosts.map(({ host, code = 'no_suitable_host', detail = '' }) => ({ host, code, detail })),
  )
  return { ...nowhere, reason: { code, detail: message } }
}

function nameTaken(name: string, lastOperation: string): ProvostError {
  return new ProvostError('name_taken', `A jail called ${name} exists; its last operation is ${lastOperation}.`)
}

function nameClaimed(name: string, batch: string): ProvostError {
  return new ProvostError('name_taken', `Batch ${batch} has claimed the name ${name}.`, {
    hint: 'Choose another name, or cancel the batch.',
  })
}

type Unplaced<R> = Omit<R, 'host' | 'leases' | 'limits' | 'worldDigest' | 'epoch' | 'revision'>

function newRecords(
  ask: CreateJail,
  { again, batch }: More = {},
): { jail: Unplaced<JailRecord>; operation: Unplaced<OperationRecord> } {
  const at = new Date().toISOString()
  const id = again?.id ?? uuid()
  return {
    jail: {
      name: ask.name,
      provision: id,
      client: ask.client,
      hostname: ask.hostname ?? defaultHostname(ask.name),
      world: ask.world,
      ...(ask.command ? { command: ask.command } : {}),
      labels: ask.labels ?? {},
      state: 'queued',
      jid: null,
      lastOperation: id,
      createdAt: at,
      updatedAt: at,
    },
    operation: {
      id,
      kind: 'provision',
      jail: ask.name,
      ...(batch === undefined ? {} : { batch }),
      status: 'queued',
      percent: 0,
      step: null,
      steps: [],
      attempt: (again?.attempt ?? 0) + 1,
      createdAt: again?.createdAt ?? at,
      startedAt: null,
      finishedAt: null,
      plan: planVersion,
      sequence: 0,
      wakeup: (again?.wakeup ?? 0) + 1,
      request: ask,
    },
  }
}

function inputOf(
  jail: Unplaced<JailRecord>,
  operation: Unplaced<OperationRecord>,
  keys: RedisKeys,
  { again, row, held }: More,
): PlaceInput {
  const { id, batch } = operation
  const key = keys.operation(id)
  return {
    name: jail.name,
    now: Date.parse(jail.createdAt),
    newName: true,
    claim: { claims: keys.claims, batches: keys.batch(''), ...(batch === undefined ? {} : { batch }) },
    unchanged: [...(again ? [[key, again.revision] as Held] : []), ...(held ? [held] : [])],
    release: [],
    commands: [
      ...(again ? [['DEL', key], ...changeStatus(again, 'queued', keys)] : []),
      // With it, so that whoever counts the rows that wait never counts one that has begun.
      ...(batch !== undefined && row !== undefined ? [['HSET', keys.batchOutcomes(batch), String(row), id]] : []),
    ],
    jail: {
      kind: 'jail',
      key: keys.jail(jail.name),
      member: jail.name,
      fields: toFields(jail),
      indexes: [keys.jails(), keys.jails('client', jail.client), keys.jails('state', 'queued')],
    },
    operation: {
      kind: 'operation',
      key,
      member: id,
      fields: toFields(operation),
      indexes: [
        keys.operations(),
        keys.operations('jail', jail.name),
        keys.operations('status', 'queued'),
        ...(batch === undefined ? [] : [keys.operations('batch', batch)]),
      ],
    },
  }
}
