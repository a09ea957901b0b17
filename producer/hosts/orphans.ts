import type { Redis } from 'ioredis'
import { ProvostError } from '#shared/errors.ts'
import { Drift } from '#shared/host.ts'
import { hasEnded } from '#shared/operation.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { Accept, Answer, Decision } from '../operations/accept.ts'
import type { PlacementHost } from '../placement/choose-host.ts'
import { leaseOf } from '../records/leases.ts'
import { newOperation, writeOperation } from '../records/operation-changes.ts'
import { endedExpireSeconds, type JailRecord, type OperationRecord, type Records } from '../records/records.ts'
import type { Change, Scripts } from '../records/scripts.ts'
import { writeJail } from '../recovery/rebuild-records.ts'
import { readNotes } from './read-host-notes.ts'

export type Orphan = Extract<Drift, { found: 'orphan' }>
export type Orphans = ReturnType<typeof makeOrphans>
type Refused = { jail: string; code: string; detail: string }
type Deps = { redis: Redis; keys: RedisKeys; records: Records; scripts: Scripts; accept: Accept['accept'] }

/** What a host says it has otherwise than the records, by the names of its jails. */
export function readDrift(redis: Redis, keys: RedisKeys, host: string): Promise<Drift[]> {
  return readNotes(redis, keys.hostDrift(host), Drift)
}

/** What becomes of jails that a host has and the fleet does not know: only when told. */
export function makeOrphans({ redis, keys, records, scripts, accept }: Deps) {
  /** The orphans of a host, or those named. @throws ProvostError `not_found` for one that is none. */
  async function orphansOf(host: string, names?: string[]): Promise<Orphan[]> {
    const orphans = (await readDrift(redis, keys, host)).filter((entry) => entry.found === 'orphan')
    const missing = names?.find((name) => !orphans.some(({ jail }) => jail === name))
    if (missing) throw noOrphan(host, missing)
    return names ? orphans.filter(({ jail }) => names.includes(jail)) : orphans
  }

  async function adoptOne(host: PlacementHost, orphan: Orphan): Promise<Refused | undefined> {
    await scripts.raiseEpoch(orphan.epoch)
    const committed = await scripts.commit(adoption(host, orphan, keys))
    if (committed.type === 'done') return undefined
    if (committed.type === 'leased') {
      const detail = `Its address ${committed.address} is leased to ${committed.holder}.`
      return { jail: orphan.jail, code: 'address_taken', detail }
    }
    const cleaning = await redis.hget(keys.cleaning(orphan.spec.provision), 'revision')
    if (cleaning) return { jail: orphan.jail, code: 'jail_busy', detail: `Operation ${cleaning} destroys it.` }
    return { jail: orphan.jail, code: 'name_taken', detail: `The fleet has another jail called ${orphan.jail}.` }
  }

  /**
   * The operation that destroys an orphan: the one under way, or a new one.
   * @throws ProvostError `not_found` for one that has been adopted, `jail_busy` while its name's jail is worked on there.
   */
  async function cleanOne(host: PlacementHost, orphan: Orphan): Promise<OperationRecord> {
    await scripts.raiseEpoch(orphan.epoch)
    const { operation } = await accept(undefined, () => decideClean(host, orphan))
    return operation
  }

  async function decideClean(host: PlacementHost, { jail, spec }: Orphan): Promise<Decision | Answer> {
    const known = await records.jail(jail)
    if (known?.provision === spec.provision) throw noOrphan(host.id, jail)
    const last = known?.host === host.id ? await records.operation(known.lastOperation) : undefined
    if (last && !hasEnded(last.status))
      throw new ProvostError('jail_busy', `Operation ${last.id} (${last.kind}) is at work on another jail called ${jail} there.`)
    const cleaning = keys.cleaning(spec.provision)
    const before = await redis.hget(cleaning, 'revision')
    const underWay = before === null ? undefined : await records.operation(before)
    if (underWay && !hasEnded(underWay.status)) return { operation: underWay, jail: null, replayed: true }

    const now = new Date()
    const epoch = await redis.incr(keys.epoch)
    const operation = newOperation({ kind: 'destroy', jail, host: host.id, epoch, orphan: spec }, now)
    const change: Change = {
      unchanged: [
        [keys.jail(jail), known?.revision ?? ''],
        [cleaning, before ?? ''],
      ],
      member: [keys.hosts, host.id],
      commands: [...writeOperation(operation, now, keys), ...noteCleaning(operation.id, spec.provision, keys)],
      events: [['operation', operation.id, keys.operation(operation.id)]],
    }
    return { change, accepted: { jail: null, operation }, wakes: true }
  }

  return {
    /** Makes orphans jails of the fleet again, each as its host has it. @throws ProvostError `not_found`. */
    async adopt(host: PlacementHost, names?: string[]): Promise<{ adopted: string[]; refused: Refused[] }> {
      const answer: { adopted: string[]; refused: Refused[] } = { adopted: [], refused: [] }
      for (const orphan of await orphansOf(host.id, names)) {
        const refused = await adoptOne(host, orphan)
        if (refused) answer.refused.push(refused)
        else answer.adopted.push(orphan.jail)
      }
      return answer
    },

    /** Destroys orphans: an operation for each. @throws ProvostError `not_found`. */
    async clean(host: PlacementHost, names?: string[]): Promise<OperationRecord[]> {
      const operations: OperationRecord[] = []
      for (const orphan of await orphansOf(host.id, names)) operations.push(await cleanOne(host, orphan))
      return operations
    },
  }
}

/** The commands that keep an orphan from being adopted while an operation destroys it. */
export function noteCleaning(operation: string, provision: string, keys: RedisKeys): string[][] {
  const key = keys.cleaning(provision)
  return [
    ['HSET', key, 'revision', operation],
    ['EXPIRE', key, String(endedExpireSeconds)],
  ]
}

function noOrphan(host: string, jail: string): ProvostError {
  return new ProvostError('not_found', `Host ${host} has no orphan called ${jail}.`)
}

function adoption(host: PlacementHost, { jail: name, spec, epoch, wanted }: Orphan, keys: RedisKeys): Change {
  const at = new Date().toISOString()
  const leases = spec.addresses.map((address) => leaseOf(address, host.pools))
  const { addresses: _, ...known } = spec
  const record: Omit<JailRecord, 'revision'> = {
    ...known,
    host: host.id,
    leases,
    labels: spec.labels ?? {},
    state: wanted === 'gone' ? 'failed' : wanted,
    reason: 'It was adopted from its host.',
    jid: null,
    epoch,
    lastOperation: spec.provision,
    createdAt: spec.createdAt ?? at,
    updatedAt: at,
  }
  const change = writeJail(record, keys)
  change.unchanged.push([keys.cleaning(spec.provision), ''])
  change.commands.push(
    ...leases.map(([address]) => ['HDEL', keys.heldLeases(host.id), address]),
    // Its worker finds out by itself, but later.
    ['HDEL', keys.hostDrift(host.id), name],
  )
  return change
}
