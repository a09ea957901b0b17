import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import type { RedisKeys } from '#shared/redis/keys.ts'

/** A request's idempotency: where its answer is kept, and what it must equal to be the same request. */
export type Idempotency = { key: string; fingerprint: string; ttl: number }

export type Change = {
  idempotency?: (Idempotency & { operation: string }) | undefined
  unchanged: [key: string, revision: string][]
  alive?: string
  member?: [set: string, member: string]
  claim?: [address: string, jail: string, holder: string][]
  hold?: [address: string, jail: string, holder: string][]
  unhold?: { held: string; holder: string; addresses: string[] }
  release?: [address: string, returnedList: string, holder: string][]
  commands: string[][]
  events: (readonly [kind: 'jail' | 'operation' | 'host' | 'batch', id: string, key: string])[]
}

export type CommitAnswer =
  | { type: 'done'; revisions: number[] }
  /** Somebody else changed a record meanwhile: read again, decide again. */
  | { type: 'changed' }
  | { type: 'replayed'; operation: string }
  | { type: 'reused' }
  /** A lease that was to be claimed is somebody else's. */
  | { type: 'leased'; address: string; holder: string }

export type Scripts = ReturnType<typeof makeScripts>

type Defined = Redis & {
  admit(...args: string[]): Promise<string[]>
  commitChange(...args: string[]): Promise<(string | number)[]>
}

const raiseEpochScript = `
  if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end`

/** The two scripts that write records: `admit` makes them, `commit` changes them. */
export function makeScripts(redis: Redis, keys: RedisKeys) {
  const source = (name: string) => readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8')
  redis.defineCommand('admit', { numberOfKeys: 5, lua: source('admit') })
  redis.defineCommand('commitChange', { numberOfKeys: 3, lua: source('commit') })
  const defined = redis as Defined

  return {
    /** Makes the next epoch a higher one than a host has seen. */
    raiseEpoch: (above: number): Promise<unknown> => redis.eval(raiseEpochScript, 1, keys.epoch, above),

    admit: (input: object): Promise<string[]> =>
      defined.admit(keys.eventSequence, keys.events, keys.epoch, keys.leases, keys.wakeups, JSON.stringify(input)),

    async commit(change: Change): Promise<CommitAnswer> {
      const input = JSON.stringify({ claim: [], hold: [], release: [], ...change })
      const [type, ...rest] = await defined.commitChange(keys.eventSequence, keys.events, keys.leases, input)
      if (type === 'done') return { type, revisions: rest.map(Number) }
      if (type === 'leased') return { type, address: String(rest[0]), holder: String(rest[1]) }
      if (type === 'replayed') return { type, operation: String(rest[0]) }
      return { type: type === 'reused' ? 'reused' : 'changed' }
    },
  }
}
