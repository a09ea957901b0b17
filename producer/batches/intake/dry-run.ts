import { setImmediate as otherWork } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import type { BatchOptions } from '#shared/batch.ts'
import { Timings } from '#shared/host.ts'
import type { CreateJail } from '#shared/jail.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import {
  type Candidate,
  type Candidates,
  chooseHosts,
  type PlacementHost,
  type Policy,
  type Refusal,
  refusalError,
} from '../../placement/choose-host.ts'
import type { NamedRow } from './claim-names.ts'
import { type Estimate, estimateBatch, type HostShare } from './estimate-batch.ts'
import { shownAtMost } from './faults.ts'
import { countAddresses } from './free-addresses.ts'

export type DryRunDeps = { redis: Redis; keys: RedisKeys; hosts(): PlacementHost[]; placement: Policy }

/** Where the rows of a batch would go: the first of them, and how many go to each host. */
export type DryRunOfBatch = {
  rows: { line: number; name: string; host?: string; reason?: string }[]
  more: number
  hosts: Record<string, number>
  fits: boolean
  eta?: Estimate
}

/** How long other requests may have to wait for it. */
const atAStretchMs = 20

/** Places rows one after another in a copy of the fleet, as the registry knows it. Writes nothing. */
export function openDryRun({ redis, keys, hosts, placement }: DryRunDeps) {
  const fleet = hosts().map((host) => ({ ...host, promised: { ...host.promised } }))
  const addresses = countAddresses({ redis, keys })
  const shares = new Map<string, HostShare>()
  const shown: DryRunOfBatch['rows'] = []
  let rows = 0
  let fits = true

  /** Gives its host, or why none takes it. Only what is shown is put into words. */
  function placeRow({ ask, jail }: NamedRow, isShown: boolean): { host?: string; reason?: string } {
    if (jail) return { host: jail.host, reason: 'the jail exists as asked' }
    const { candidates, refusals } = chooseHosts(ask, fleet, placement)
    const full: Refusal[] = []
    for (const candidate of each(candidates)) {
      const lack = shortOf(candidate) ?? addresses.take(candidate.wanted)
      if (!lack) {
        promise(candidate, ask)
        return { host: candidate.host.id }
      }
      full.push({ host: candidate.host.id, ...lack })
    }
    fits = false
    return isShown ? { reason: refusalError([...refusals(), ...full]).message } : {}
  }

  function promise({ host, limits }: Candidate, { world }: CreateJail): void {
    host.operations += 1
    host.promised.jails += 1
    host.promised.memory += limits.memory
    host.promised.cpu += limits.cpu
    host.promised.disk += limits.disk ?? 0
    const share = shares.get(host.id) ?? { host, worlds: new Map() }
    shares.set(host.id, share)
    share.worlds.set(world, (share.worlds.get(world) ?? 0) + 1)
  }

  async function readTimings(): Promise<Map<string, Timings>> {
    const ids = [...shares.keys()]
    const texts = ids.length === 0 ? [] : await redis.mget(ids.map(keys.hostTimings))
    return new Map(ids.map((id, i) => [id, Timings.safeParse(JSON.parse(texts[i] ?? '{}')).data ?? {}]))
  }

  return {
    rows: () => rows,
    /** Places more rows, after all before. */
    async place(page: NamedRow[]): Promise<void> {
      const asked = page.flatMap(({ ask }) => ask.addresses ?? [])
      await addresses.read(
        fleet.flatMap(({ pools }) => pools),
        asked,
      )
      let beganMs = performance.now()
      for (const row of page) {
        if (performance.now() - beganMs > atAStretchMs) {
          await otherWork()
          beganMs = performance.now()
        }
        const isShown = rows < shownAtMost
        const placed = placeRow(row, isShown)
        if (isShown) shown.push({ line: row.line, name: row.ask.name, ...placed })
        rows += 1
      }
    },
    async result({ maxInFlight }: BatchOptions): Promise<DryRunOfBatch> {
      const counts = [...shares].map(
        ([id, { worlds }]) => [id, [...worlds.values()].reduce((sum, count) => sum + count, 0)] as const,
      )
      const eta = estimateBatch([...shares.values()], await readTimings(), maxInFlight)
      const more = rows - shown.length
      return { rows: shown, more, hosts: Object.fromEntries(counts), fits, ...(eta ? { eta } : {}) }
    },
  }
}

function* each(candidates: Candidates): Generator<Candidate> {
  for (let from = 0, size = 3; ; from += size, size = 50) {
    const group = candidates.slice(from, from + size)
    yield* group
    if (group.length < size) return
  }
}

function shortOf({ host: { promised, capacity }, limits }: Candidate): { code: 'no_capacity'; detail: string } | undefined {
  const ask = { jails: 1, ...limits }
  for (const resource of ['jails', 'memory', 'cpu', 'disk'] as const) {
    // Cores are counted in thousandths, as the ledger does.
    const left = Math.round(((capacity[resource] ?? Number.POSITIVE_INFINITY) - promised[resource]) * 1000)
    if (Math.round((ask[resource] ?? 0) * 1000) > left)
      return { code: 'no_capacity', detail: `has not enough ${resource} left to promise` }
  }
  return undefined
}
