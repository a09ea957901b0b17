import { v7 as uuid } from 'uuid'
import { ProvostError } from '#shared/errors.ts'
import { type CreateJail, type DryRun, defaultHostname } from '#shared/jail.ts'
import { planVersion } from '#shared/job.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import { type Hosts, placeJail } from '../placement/place-jail.ts'
import { refusalError } from '../placement/refusals.ts'
import { tryPlaces } from '../placement/try-places.ts'
import { claimerOf } from '../records/batches/name-claims.ts'
import { merge, type Unchanged } from '../records/change.ts'
import { admitJail, type UnplacedJail } from '../records/jails/jail-changes.ts'
import { admitOperation, type UnplacedOperation } from '../records/operations/operation-changes.ts'
import type { OperationRecord } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'
import type { AcceptDeps, Admission, Committed } from './decision.ts'

/** What an admission depends on, beside the request. */
export type Terms = {
  /** A cancelled provision that is admitted again under its own id. */
  again?: OperationRecord
  /** The batch that asks for the jail, the number of its row, and the batch's lock, which the caller must still have. */
  batch?: { id: string; row?: number; lock?: Unchanged }
}

/** Decides an admission. @throws ProvostError `queue_unavailable` while records are missing. */
export function decideAdmission({ keys, openFleet, seenEpoch }: AcceptDeps, ask: CreateJail, { again, batch }: Terms): Admission {
  const now = fleetTime()
  const { jail, operation } = newRecords(ask, again, batch?.id, now)
  const unchanged: Unchanged[] = [
    ...(batch?.lock ? [batch.lock] : []),
    ...(openFleet ? [[keys.fleet, 'id', openFleet()] satisfies Unchanged] : []),
  ]
  const row = batch?.row
  // In the same change, so that a count of the waiting rows never includes one that has an operation.
  const commands = batch && row !== undefined ? [['HSET', keys.batchOutcomes(batch.id), String(row), operation.id]] : []
  return {
    type: 'admit',
    ask,
    accepted: { jail, operation },
    isAgain: again !== undefined,
    change: {
      ...merge(admitJail(jail, keys), admitOperation(operation, again, now, keys), { unchanged, commands }),
      name: ask.name,
      operation: operation.id,
      ...(seenEpoch ? { seenEpoch: seenEpoch() } : {}),
      newName: { claims: keys.claims, batches: keys.batch(''), ...(batch ? { batch: batch.id } : {}) },
    },
  }
}

/** Commits an admission. @throws ProvostError why no jail is admitted: `name_taken`, `no_capacity`, `no_free_address`, … */
export async function commitAdmission(deps: AcceptDeps, { ask, change, accepted, isAgain }: Admission): Promise<Committed> {
  const answer = await placeJail(deps, ask, change).catch((error) => throwUnlessUnheard(error, deps))
  switch (answer.type) {
    case 'done': {
      const { host, epoch } = answer.place
      const { jail, operation } = accepted
      return { type: 'done', accepted: { jail: { ...jail, ...answer.place }, operation: { ...operation, host, epoch } } }
    }
    case 'taken':
      throw nameTaken(ask.name, answer.operation)
    case 'claimed':
      throw nameClaimed(ask.name, answer.batch)
    case 'replayed':
      return answer
    case 'reused':
      return { type: 'reused' }
    default:
      // Only a provision that is admitted again depends on records on which it can be decided again.
      if (isAgain) return { type: 'changed' }
      throw new ProvostError('queue_unavailable', 'Redis has just lost its records.', { retryAfter: 2 })
  }
}

/** A refusal is final for who asks, so none may be for hosts that could not write that they are there. */
function throwUnlessUnheard(error: unknown, { writes }: AcceptDeps): never {
  const isOfHosts = error instanceof ProvostError && error.code === 'no_suitable_host'
  if (!isOfHosts || !writes?.mayHostsBeUnheard()) throw error
  const message = `Redis took no writes until a moment ago, and hosts have yet to report. ${error.message}`
  throw new ProvostError('queue_unavailable', message, { retryAfter: 2 })
}

/** Returns where a jail would go if it were requested now, and the answer of each host. @throws ProvostError `unknown_host`. */
export async function tryAdmission(deps: Store & Hosts, ask: CreateJail): Promise<DryRun> {
  const trials = await tryPlaces(deps, ask)
  const hosts = trials.map((trial) =>
    trial.fits ? { host: trial.host, fits: true } : { host: trial.host, fits: false, code: trial.code, detail: trial.detail },
  )
  const taken = await nameRefusal(deps, ask.name)
  const first = trials.find((trial) => trial.fits)
  if (first && !taken) return { fits: true, host: first.host, addresses: first.addresses, limits: first.limits, hosts }
  const { code, message } = taken ?? refusalError(trials.filter((trial) => !trial.fits))
  return { fits: false, host: null, addresses: [], limits: null, hosts, reason: { code, detail: message } }
}

/** Returns why a name is not available, or undefined. */
async function nameRefusal(store: Store, name: string): Promise<ProvostError | undefined> {
  const known = await store.records.jail(name)
  if (known) return nameTaken(name, known.lastOperation)
  const claimer = await claimerOf(store, name)
  return claimer === undefined ? undefined : nameClaimed(name, claimer)
}

function nameTaken(name: string, lastOperation: string): ProvostError {
  return new ProvostError('name_taken', `A jail called ${name} exists; its last operation is ${lastOperation}.`)
}

function nameClaimed(name: string, batch: string): ProvostError {
  return new ProvostError('name_taken', `Batch ${batch} has claimed the name ${name}.`, {
    hint: 'Choose another name, or cancel the batch.',
  })
}

function newRecords(
  ask: CreateJail,
  again: OperationRecord | undefined,
  batch: string | undefined,
  now: Date,
): { jail: UnplacedJail; operation: UnplacedOperation } {
  const at = now.toISOString()
  const id = again?.id ?? uuid()
  return {
    jail: {
      name: ask.name,
      provision: id,
      client: ask.client,
      ...(ask.clientName === undefined ? {} : { clientName: ask.clientName }),
      hostname: ask.hostname ?? defaultHostname(ask.name),
      world: ask.world,
      ...(ask.privileges?.setuid ? { privileges: { setuid: true } } : {}),
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
      ...(again?.requests ? { requests: again.requests } : {}),
    },
  }
}
