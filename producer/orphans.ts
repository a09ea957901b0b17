import type { Redis } from 'ioredis'
import { ProvostError } from '#shared/errors.ts'
import { Drift } from '#shared/host.ts'
import type { RedisKeys } from '#shared/keys.ts'
import type { Accept } from './accept.ts'
import { leaseOf } from './lease-of.ts'
import { newOperation, writeOperation } from './new-operation.ts'
import { promise } from './place-jail.ts'
import type { PlacementHost } from './placement/choose-host.ts'
import { type JailRecord, type OperationRecord, type Records, toFields } from './records.ts'
import type { Change, Scripts } from './scripts.ts'

export type Orphan = Extract<Drift, { found: 'orphan' }>
export type Orphans = ReturnType<typeof makeOrphans>
type Refused = { jail: string; code: string; detail: string }
type Deps = { redis: Redis; keys: RedisKeys; records: Records; scripts: Scripts; accept: Accept['accept'] }

/** What a host says it has otherwise than the records, by the names of its jails. */
export async function readDrift(redis: Redis, keys: RedisKeys, host: string): Promise<Drift[]> {
  const entries = (await redis.hvals(keys.hostDrift(host))).map((text) => Drift.safeParse(JSON.parse(text)))
  return entries.flatMap(({ data }) => (data ? [data] : [])).sort((a, b) => (a.jail < b.jail ? -1 : 1))
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
    return { jail: orphan.jail, code: 'name_taken', detail: `The fleet has another jail called ${orphan.jail}.` }
  }

  /** @throws ProvostError `not_found` for one that has been adopted since its host said so. */
  async function cleanOne(host: PlacementHost, orphan: Orphan): Promise<OperationRecord> {
    await scripts.raiseEpoch(orphan.epoch)
    const { operation } = await accept(undefined, async () => {
      const known = await records.jail(orphan.jail)
      if (known?.provision === orphan.spec.provision) throw noOrphan(host.id, orphan.jail)
      const now = new Date()
      const epoch = await redis.incr(keys.epoch)
      const operation = newOperation({ kind: 'destroy', jail: orphan.jail, host: host.id, epoch, orphan: orphan.spec }, now)
      const change: Change = {
        unchanged: [[keys.jail(orphan.jail), known?.revision ?? '']],
        commands: writeOperation(operation, now, keys),
        events: [['operation', operation.id, keys.operation(operation.id)]],
      }
      return { change, accepted: { jail: null, operation }, wakes: true }
    })
    return operation
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

function noOrphan(host: string, jail: string): ProvostError {
  return new ProvostError('not_found', `Host ${host} has no orphan called ${jail}.`)
}

function adoption(host: PlacementHost, { jail: name, spec, epoch, wanted }: Orphan, keys: RedisKeys): Change {
  const at = new Date().toISOString()
  const key = keys.jail(name)
  const leases = spec.addresses.map((address) => leaseOf(address, host.pools))
  const { addresses: _, ...known } = spec
  const record: Omit<JailRecord, 'revision'> = {
    ...known,
    host: host.id,
    leases,
    labels: {},
    state: wanted === 'gone' ? 'failed' : wanted,
    reason: 'It was adopted from its host.',
    jid: null,
    epoch,
    lastOperation: spec.provision,
    createdAt: at,
    updatedAt: at,
  }
  const lists = [
    keys.jails(),
    keys.jails('client', record.client),
    keys.jails('host', host.id),
    keys.jails('state', record.state),
  ]
  return {
    unchanged: [[key, '']],
    claim: leases.map(([address]) => [address, name, keys.forgottenHolder(host.id)]),
    commands: [
      ['HSET', key, ...toFields(record)],
      ...lists.map((list) => ['ZADD', list, '0', name]),
      ...leases.map(([address]) => ['HDEL', keys.heldLeases(host.id), address]),
      // Its worker finds out by itself, but later.
      ['HDEL', keys.hostDrift(host.id), name],
      ...promise(host.id, spec.limits, keys),
    ],
    events: [['jail', name, key]],
  }
}
