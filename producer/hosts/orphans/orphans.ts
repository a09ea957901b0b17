import { ProvostError } from '#shared/errors.ts'
import { Drift, type DryRunOfClean } from '#shared/host.ts'
import { hasEnded } from '#shared/operation.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import { accept } from '../../operations/accept.ts'
import type { AcceptDeps, Answer, Decision } from '../../operations/decision.ts'
import { takeEpoch } from '../../operations/take-epoch.ts'
import type { PlacementHost } from '../../placement/placement-host.ts'
import { type Change, merge } from '../../records/change.ts'
import { forgetJail, writeJail } from '../../records/jails/jail-changes.ts'
import { type JailRecord, toSpec } from '../../records/jails/jail-record.ts'
import { addressesOf, leaseFor } from '../../records/jails/leases.ts'
import { noteCleaning, readCleaning, unlessCleaned } from '../../records/operations/cleaning.ts'
import { newOperation, queueOperation } from '../../records/operations/operation-changes.ts'
import type { Store } from '../../records/store.ts'
import { readHostNotes } from '../read-host-notes.ts'
import { noteHeld, passHeld, takeHeld } from './held-addresses.ts'

/** Jails that a host has and the fleet does not know: they stay as they are until somebody adopts or cleans them. */

type Orphan = Extract<Drift, { found: 'orphan' }>
type Refused = { jail: string; code: string; detail: string }
type Adopted = { adopted: string[]; refused: Refused[] }

/** Returns the differences between a host's jails and the records that it has reported, ordered by the names of the jails. */
export function readDrift({ redis, keys }: Store, host: string): Promise<Drift[]> {
  return readHostNotes(redis, keys.hostDrift(host), Drift)
}

/** Makes all orphans of a host, or those named, jails of the fleet, as they are on the host. @throws ProvostError `not_found`. */
export async function adoptOrphans(store: Store, host: PlacementHost, names?: string[]): Promise<Adopted> {
  const answer: Adopted = { adopted: [], refused: [] }
  for (const orphan of await orphansOf(store, host.id, names)) {
    const refused = await adoptOne(store, host, orphan)
    if (refused) answer.refused.push(refused)
    else answer.adopted.push(orphan.jail)
  }
  return answer
}

/**
 * Destroys all orphans of a host, or those named, with one operation each. Of those named also jails that the host's journal has
 * lost: the fleet gives them up first. @throws ProvostError `not_found`, `jail_busy`.
 */
export async function cleanOrphans(deps: AcceptDeps, host: PlacementHost, names?: string[]): Promise<Answer['operation'][]> {
  const operations: Answer['operation'][] = []
  const { lost, orphans } = await cleanableOf(deps, host.id, names)
  for (const { jail } of lost) operations.push((await accept(deps, undefined, () => decideGiveUp(deps, host, jail))).operation)
  for (const orphan of orphans) {
    await deps.scripts.raiseEpoch(orphan.epoch)
    const { operation } = await accept(deps, undefined, () => decideClean(deps, host, orphan))
    operations.push(operation)
  }
  return operations
}

/** Returns which jails of a host, or of those named, a clean would destroy now. Changes nothing. @throws ProvostError `not_found`. */
export async function tryCleanOrphans(store: Store, host: PlacementHost, names?: string[]): Promise<DryRunOfClean> {
  const jails: DryRunOfClean['jails'] = []
  const { lost, orphans } = await cleanableOf(store, host.id, names)
  for (const { jail: name, since } of lost) {
    const jail = await findLost(store, host, name)
    const refused = await assertAtRest(store, jail).then(() => undefined, refusalOf)
    const { client, world } = jail
    jails.push({ name, client, world, addresses: addressesOf(jail), since, ...(refused ? { refused } : {}) })
  }
  for (const orphan of orphans) {
    const { client, world, addresses } = orphan.spec
    const refused = await readCleanable(store, host, orphan).then(() => undefined, refusalOf)
    jails.push({ name: orphan.jail, client, world, addresses, since: orphan.since, ...(refused ? { refused } : {}) })
  }
  return { dryRun: true, jails }
}

function refusalOf(error: unknown): { code: string; detail: string } {
  if (!(error instanceof ProvostError)) throw error
  return { code: error.code, detail: error.message }
}

/** Returns the orphans of a host, or those named; of those named also the jails that its journal has lost. @throws as `orphansOf`. */
async function cleanableOf(store: Store, host: string, names?: string[]): Promise<{ lost: Drift[]; orphans: Orphan[] }> {
  const drift = names ? await readDrift(store, host) : []
  const lost = drift.filter(({ found, jail }) => found === 'missing' && names?.includes(jail))
  const others = names?.filter((name) => !lost.some(({ jail }) => jail === name))
  return { lost, orphans: await orphansOf(store, host, others) }
}

/** @throws ProvostError `not_found` for a name that no orphan has. */
async function orphansOf(store: Store, host: string, names?: string[]): Promise<Orphan[]> {
  const orphans = (await readDrift(store, host)).filter((entry) => entry.found === 'orphan')
  const missing = names?.find((name) => !orphans.some(({ jail }) => jail === name))
  if (missing) throw noOrphan(host, missing)
  return names ? orphans.filter(({ jail }) => names.includes(jail)) : orphans
}

async function adoptOne(store: Store, host: PlacementHost, orphan: Orphan): Promise<Refused | undefined> {
  const { scripts } = store
  await scripts.raiseEpoch(orphan.epoch)
  const committed = await scripts.commit(await adoption(store, host, orphan))
  if (committed.type === 'done') return undefined
  if (committed.type === 'leased') {
    const detail = `Its address ${committed.address} is leased to ${committed.holder}.`
    return { jail: orphan.jail, code: 'address_taken', detail }
  }
  const { operation: cleaning } = await readCleaning(store, orphan.spec.provision)
  if (cleaning !== null) return { jail: orphan.jail, code: 'jail_busy', detail: `Operation ${cleaning} destroys it.` }
  return { jail: orphan.jail, code: 'name_taken', detail: `The fleet has another jail called ${orphan.jail}.` }
}

/**
 * Returns what the destroy of an orphan depends on: the jail that has its name now, and the operation that destroys it already.
 * @throws ProvostError `not_found` if it was adopted, `jail_busy` while another jail of its name has an open operation there.
 */
async function readCleanable(store: Store, host: PlacementHost, { jail, spec }: Orphan) {
  const { records } = store
  const known = await records.jail(jail)
  if (known?.provision === spec.provision) throw noOrphan(host.id, jail)
  const last = known?.host === host.id ? await records.operation(known.lastOperation) : undefined
  if (last && !hasEnded(last.status))
    throw new ProvostError('jail_busy', `Operation ${last.id} (${last.kind}) is at work on another jail called ${jail} there.`)
  const cleaning = await readCleaning(store, spec.provision)
  return { known, cleaning, open: cleaning.operation === null ? undefined : await records.operation(cleaning.operation) }
}

/** Decides the operation that destroys an orphan: the one that is open, or a new one. @throws ProvostError as `readCleanable`. */
async function decideClean(deps: AcceptDeps, host: PlacementHost, orphan: Orphan): Promise<Decision> {
  const { keys } = deps
  const { jail, spec } = orphan
  const { known, cleaning, open } = await readCleanable(deps, host, orphan)
  if (open && !hasEnded(open.status)) return { type: 'answer', answer: { operation: open, jail: null, replayed: true } }

  const now = fleetTime()
  const epoch = await takeEpoch(deps)
  const operation = newOperation({ kind: 'destroy', jail, host: host.id, epoch, orphan: spec }, now)
  const change = merge(queueOperation(operation, now, keys), ...(await passHeld(deps, host, spec)), {
    ...noteCleaning(operation.id, spec.provision, keys),
    unchanged: [[keys.jail(jail), 'revision', known?.revision ?? null], ...cleaning.unchanged],
    member: [keys.hosts, host.id],
  })
  return { type: 'commit', change, accepted: { jail: null, operation }, wakes: true }
}

/**
 * Decides the operation that destroys what may be left of a jail which its host's journal has lost: from now on the fleet does not
 * know it either, and holds its addresses until that has succeeded. @throws ProvostError `not_found`, `jail_busy`.
 */
async function decideGiveUp(deps: AcceptDeps, host: PlacementHost, name: string): Promise<Decision> {
  const { redis, keys } = deps
  const jail = await findLost(deps, host, name)
  await assertAtRest(deps, jail)
  const now = fleetTime()
  const [epoch, root] = await Promise.all([takeEpoch(deps), redis.get(keys.hostRoot(host.id))])
  const operation = newOperation({ kind: 'destroy', jail: name, host: host.id, epoch, orphan: toSpec(jail) }, now)
  const held = noteHeld(jail, root, keys)
  const change = merge(
    forgetJail(jail, keys),
    queueOperation(operation, now, keys),
    { member: [keys.hosts, host.id], commands: held },
    noteCleaning(operation.id, jail.provision, keys),
  )
  return { type: 'commit', change, accepted: { jail: null, operation }, wakes: true }
}

async function findLost({ records }: Store, host: PlacementHost, name: string): Promise<JailRecord> {
  const jail = await records.jail(name)
  if (jail?.host !== host.id) throw noOrphan(host.id, name)
  return jail
}

/** @throws ProvostError `jail_busy` while an operation is at work on a jail. */
async function assertAtRest({ records }: Store, { name, lastOperation }: JailRecord): Promise<void> {
  const last = await records.operation(lastOperation)
  if (last && !hasEnded(last.status))
    throw new ProvostError('jail_busy', `Operation ${last.id} (${last.kind}) is at work on jail ${name}.`)
}

function noOrphan(host: string, jail: string): ProvostError {
  return new ProvostError('not_found', `Host ${host} has no orphan called ${jail}.`)
}

async function adoption(store: Store, host: PlacementHost, { jail: name, spec, epoch, wanted }: Orphan): Promise<Change> {
  const { keys } = store
  const at = fleetTime().toISOString()
  const leases = spec.addresses.map((address) => leaseFor(address, host.pools))
  const held = await takeHeld(store, spec.provision, leases)
  const { addresses: _, ...known } = spec
  const jail = {
    ...known,
    host: host.id,
    leases,
    labels: spec.labels ?? {},
    state: wanted === 'gone' ? ('failed' as const) : wanted,
    reason: 'It was adopted from its host.',
    jid: null,
    epoch,
    lastOperation: spec.provision,
    createdAt: spec.createdAt ?? at,
    updatedAt: at,
  }
  return merge(writeJail(jail, keys, held.holders), held.change, {
    unchanged: unlessCleaned(spec.provision, keys),
    commands: [
      ...leases.map(([address]) => ['HDEL', keys.heldLeases(host.id), address]),
      // Its worker does the same, but later.
      ['HDEL', keys.hostDrift(host.id), name],
    ],
  })
}
