import type { Redis } from 'ioredis'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { loadScript, type Script } from '#shared/redis/load-script.ts'
import type { Change } from './change.ts'

export type CommitAnswer =
  | { type: 'done' }
  /** Somebody else changed a record meanwhile: read and decide again. */
  | { type: 'changed' }
  | { type: 'replayed'; operation: string }
  | { type: 'reused' }
  /** A lease to take belongs to somebody else. */
  | { type: 'leased'; address: string; holder: string }

export type Scripts = ReturnType<typeof openScripts>

/** Loads the scripts of this folder, each as a command of a connection. Only they write records. */
export function openScripts(redis: Redis, keys: RedisKeys) {
  const load = <Answer>(name: string): Script<Answer> => loadScript(redis, new URL(`./scripts/${name}.lua`, import.meta.url))
  const commit = load<(string | number)[]>('commit')
  const raiseEpoch = load<null>('recovery/raise-epoch')
  const takeEpoch = load<number>('take-epoch')

  return {
    async commit(change: Change): Promise<CommitAnswer> {
      const input = JSON.stringify({ lease: [], hold: [], release: [], ...change })
      const [type, ...rest] = await commit([keys.eventSequence, keys.events, keys.leases, keys.fleet], input)
      if (type === 'leased') return { type, address: String(rest[0]), holder: String(rest[1]) }
      if (type === 'replayed') return { type, operation: String(rest[0]) }
      return { type: type === 'done' || type === 'reused' ? type : 'changed' }
    },
    /** Makes the next epoch higher than any that a host has seen. */
    raiseEpoch: (above: number): Promise<null> => raiseEpoch([keys.epoch], above),
    /** Returns the next epoch; undefined if Redis has lost the last ones. `seen`: one that Redis, or a host, has had. */
    async takeEpoch(seen: number): Promise<number | undefined> {
      const epoch = await takeEpoch([keys.epoch, keys.jails()], seen)
      return epoch === 0 ? undefined : epoch
    },
    admit: load<[type: string, ...rest: string[]]>('admit'),
    try: load<[answers: TriedHost[][], given: string]>('try'),
    lock: load<0 | 1>('lock'),
    unlock: load<null>('unlock'),
    createFleet: load<0 | 1>('recovery/create-fleet'),
    claimNames: load<ClaimedNames>('batches/claim-names'),
    returnNames: load<null>('batches/return-names'),
    discardRows: load<0 | 1>('batches/discard-rows'),
    readHosts: load<HostAnswer[]>('read-hosts'),
    renewFleet: load<0 | 1>('recovery/renew-fleet'),
    countLeases: load<0 | 1>('recovery/count-leases'),
    rebuildPromises: load<null>('recovery/rebuild-promises'),
  }
}

/** How a host would answer a request for a jail: `code` is empty if it would take it. */
export type TriedHost = [host: string, code: string, what: string, leases?: [address: string, prefix: number, cidr: string][]]

type ClaimedNames = ['lost'] | ['done', jails: string[], claimed: [name: string, batch: string][]]

/** Of one host: its beat, for how many milliseconds it still counts as alive, its ledger, and how many operations are open and jails are there. */
export type HostAnswer = [beat: string | null, ttlMs: number, promised: (string | null)[], operations: number, jails: number]
