import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import type { RedisKeys } from '#shared/keys.ts'

/** A request's idempotency: where its answer is kept, and what it must equal to be the same request. */
export type Idempotency = { key: string; fingerprint: string; ttl: number }

export type Change = {
  idempotency?: (Idempotency & { operation: string }) | undefined
  unchanged: [key: string, revision: string][]
  release?: [address: string, returnedList: string, jail: string][]
  commands: string[][]
  events: [kind: 'jail' | 'operation' | 'host' | 'batch', id: string, key: string][]
}

export type CommitAnswer =
  | { type: 'done'; revisions: number[] }
  /** Somebody else changed a record meanwhile: read again, decide again. */
  | { type: 'changed' }
  | { type: 'replayed'; operation: string }
  | { type: 'reused' }

export type Scripts = ReturnType<typeof makeScripts>

type Defined = Redis & {
  admit(...args: string[]): Promise<string[]>
  commitChange(...args: string[]): Promise<(string | number)[]>
}

/** The two scripts that write records: `admit` makes them, `commit` changes them. */
export function makeScripts(redis: Redis, keys: RedisKeys) {
  const source = (name: string) => readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8')
  redis.defineCommand('admit', { numberOfKeys: 5, lua: source('admit') })
  redis.defineCommand('commitChange', { numberOfKeys: 3, lua: source('commit') })
  const defined = redis as Defined

  return {
    admit: (input: object): Promise<string[]> =>
      defined.admit(keys.eventSequence, keys.events, keys.epoch, keys.leases, keys.wakeups, JSON.stringify(input)),

    async commit(change: Change): Promise<CommitAnswer> {
      const input = JSON.stringify({ release: [], ...change })
      const [type, ...rest] = await defined.commitChange(keys.eventSequence, keys.events, keys.leases, input)
      if (type === 'done') return { type, revisions: rest.map(Number) }
      if (type === 'replayed') return { type, operation: String(rest[0]) }
      return { type: type === 'reused' ? 'reused' : 'changed' }
    },
  }
}
