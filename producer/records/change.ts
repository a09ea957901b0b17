import type { Idempotency } from './operations/idempotency.ts'

/** A field that must be as it was read for a change to be committed; null: it must not be there. */
export type Unchanged = [key: string, field: string, value: string | null]

/** A record that changed; `key` may be gone, and a host has none. */
export type Told = readonly [kind: 'jail' | 'operation' | 'host' | 'batch', id: string, key: string]

/** What is to become of the records, all or nothing. `scripts/commit.lua` says more. */
export type Change = {
  idempotency?: (Idempotency & { operation: string }) | undefined
  unchanged: Unchanged[]
  /** A key that must not be there: the host must still be down. */
  alive?: string
  member?: [set: string, member: string]
  lease?: [address: string, jail: string, holder: string][]
  hold?: [address: string, jail: string, holder: string][]
  unhold?: { held: string; holder: string; addresses: string[] }
  release?: [address: string, returnedList: string, holder: string][]
  commands: string[][]
  events: Told[]
}

/** Several changes as one: all or none of them. What a change has but once (`alive`, `member`, `unhold`) is the last one's. */
export function merge(...changes: Partial<Change>[]): Change {
  return {
    ...Object.assign({}, ...changes),
    unchanged: changes.flatMap(({ unchanged = [] }) => unchanged),
    lease: changes.flatMap(({ lease = [] }) => lease),
    hold: changes.flatMap(({ hold = [] }) => hold),
    release: changes.flatMap(({ release = [] }) => release),
    commands: changes.flatMap(({ commands = [] }) => commands),
    events: changes.flatMap(({ events = [] }) => events),
  }
}
