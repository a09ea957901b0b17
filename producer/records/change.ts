import type { Idempotency } from './operations/idempotency.ts'

/** A field that must still be as it was read when a change is committed; null: it must not exist. */
export type Unchanged = [key: string, field: string, value: string | null]

/** A record that changed; its `key` may no longer exist, and a host has none. */
type ChangeEvent = readonly [kind: 'jail' | 'operation' | 'host' | 'batch', id: string, key: string]

/** A change of records, all or nothing. `scripts/commit.lua` describes its fields. */
export type Change = {
  idempotency?: (Idempotency & { operation: string }) | undefined
  unchanged: Unchanged[]
  /** A key that must not exist: the host must still be down. */
  alive?: string
  member?: [set: string, member: string]
  lease?: [address: string, jail: string, holder: string][]
  hold?: [address: string, jail: string, holder: string][]
  unhold?: { held: string; holder: string; addresses: string[] }
  release?: [address: string, returnedList: string, holder: string][]
  commands: string[][]
  events: ChangeEvent[]
}

/** Merges changes into one, all or nothing. Of fields with a single value (`alive`, `member`, `unhold`) the last one counts. */
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
