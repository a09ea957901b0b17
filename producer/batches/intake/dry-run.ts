import { setImmediate as yieldToOthers } from 'node:timers/promises'
import type { BatchOptions, DryRunOfBatch } from '#shared/batch.ts'
import { Timings } from '#shared/host.ts'
import { type Candidate, chooseHosts, hasRoom, type Placement } from '../../placement/choose-host.ts'
import type { Hosts } from '../../placement/place-jail.ts'
import { countPromise, type PlacementHost } from '../../placement/placement-host.ts'
import { type Refusal, refusalError } from '../../placement/refusals.ts'
import { openTrials } from '../../placement/try-places.ts'
import type { Store } from '../../records/store.ts'
import { shownAtMost } from '../faults/faults.ts'
import type { NamedRow } from '../rows/claim-names.ts'
import { estimateBatch, type HostShare } from './estimate-batch.ts'

/** Where the rows of a batch would go: the first rows, and how many would go to each host. */
export type Placed = Omit<DryRunOfBatch, 'skipped' | 'causes'>

/** How long it blocks other requests at most. */
const atAStretchMs = 20
/** How many rows are tried in one call, which blocks Redis, and how many hosts are tried for each of them at first. */
const rowsAtOnce = 50
const hostsAtFirst = 1

/** A row that is being placed. `guess`: the host that it most likely goes to, which counts it already. */
type Moving = { row: NamedRow; placement: Placement; group: Candidate[]; guess: Candidate | undefined }

/** Places rows one after another in a copy of the fleet, whose room they take, as admissions would. Writes nothing. */
export function openDryRun(deps: Store & Hosts) {
  const { redis, keys, placement: policy } = deps
  const fleet = deps.hosts.all().map((host) => ({ ...host, promised: { ...host.promised } }))
  const tryNext = openTrials(deps)
  /** Why no host took what a row asks for: none takes the same later, since the room in a dry run only becomes less. */
  const refusedAsks = new Map<string, Refusal[]>()
  const shares = new Map<string, HostShare>()
  const shown: Placed['rows'] = []
  let rows = 0
  let fits = true

  /** Tries the rows of a chunk in one call; so each already counts on the host that it most likely goes to. */
  async function placeChunk(chunk: NamedRow[]): Promise<void> {
    const moving: Moving[] = []
    let beganMs = performance.now()
    for (const row of chunk) {
      if (performance.now() - beganMs > atAStretchMs) {
        await yieldToOthers()
        beganMs = performance.now()
      }
      if (row.jail || refusedAsks.has(keyOf(row))) continue
      const placement = chooseHosts(row.ask, fleet, policy)
      const group = placement.candidates.slice(0, hostsAtFirst)
      const guess = group[0] && hasRoom(group[0].host, row.ask) ? group[0] : undefined
      if (guess) countPromise(guess.host, guess.limits, 1)
      moving.push({ row, placement, group, guess })
    }
    const answers = await tryNext(moving.map(({ group }) => group))
    const places = new Map<NamedRow, { host: string } | undefined>()
    for (const [i, each] of moving.entries()) {
      const { taker, refused } = answers[i] ?? { taker: undefined, refused: [] }
      places.set(each.row, await settle(each, taker, refused))
    }
    for (const row of chunk)
      show(row, row.jail ? { host: row.jail.host, reason: 'the jail exists as asked' } : (places.get(row) ?? refusedPlace(row)))
  }

  /** A reason is only made if it is shown. */
  const refusedPlace = (row: NamedRow) =>
    rows < shownAtMost ? { reason: refusalError(refusedAsks.get(keyOf(row)) ?? []).message } : {}

  /** Returns the host that takes a row, if any does: one of those tried first, or one of the others. */
  async function settle(
    { row, placement, guess }: Moving,
    first: Candidate | undefined,
    refused: Refusal[],
  ): Promise<{ host: string } | undefined> {
    if (guess && guess !== first) countPromise(guess.host, guess.limits, -1)
    let taker = first
    const full = [...refused]
    for (let from = hostsAtFirst; !taker && !refusedAsks.has(keyOf(row)); from += rowsAtOnce) {
      const group = placement.candidates.slice(from, from + rowsAtOnce)
      if (group.length === 0) break
      const [answer] = await tryNext([group])
      taker = answer?.taker
      full.push(...(answer?.refused ?? []))
    }
    if (taker) {
      if (taker !== guess) countPromise(taker.host, taker.limits, 1)
      noteShare(taker.host, row.ask.world)
      return { host: taker.host.id }
    }
    fits = false
    if (!refusedAsks.has(keyOf(row))) refusedAsks.set(keyOf(row), [...placement.refusals(), ...full])
    return undefined
  }

  function noteShare(host: PlacementHost, world: string): void {
    const share = shares.get(host.id) ?? { host, worlds: new Map() }
    shares.set(host.id, share)
    share.worlds.set(world, (share.worlds.get(world) ?? 0) + 1)
  }

  function show({ line, ask }: NamedRow, place: { host?: string; reason?: string } = {}): void {
    if (rows < shownAtMost) shown.push({ line, name: ask.name, ...place })
    rows += 1
  }

  async function readTimings(): Promise<Map<string, Timings>> {
    const ids = [...shares.keys()]
    const texts = ids.length === 0 ? [] : await redis.mget(ids.map(keys.hostTimings))
    return new Map(ids.map((id, i) => [id, Timings.safeParse(JSON.parse(texts[i] ?? '{}')).data ?? {}]))
  }

  return {
    rows: () => rows,
    /** Places more rows, after all earlier ones. */
    async place(page: NamedRow[]): Promise<void> {
      for (let from = 0; from < page.length; from += rowsAtOnce) await placeChunk(page.slice(from, from + rowsAtOnce))
    },
    async result({ maxInFlight }: BatchOptions): Promise<Placed> {
      const counts = [...shares].map(
        ([id, { worlds }]) => [id, [...worlds.values()].reduce((sum, jails) => sum + jails, 0)] as const,
      )
      const eta = estimateBatch([...shares.values()], await readTimings(), maxInFlight)
      const more = rows - shown.length
      return { rows: shown, more, hosts: Object.fromEntries(counts), fits, ...(eta ? { eta } : {}) }
    },
  }
}

/** Returns a text that is the same for rows that ask hosts for the same. */
function keyOf({ ask: { world, host, limits, labels, addresses } }: NamedRow): string {
  return JSON.stringify([world, host, limits, labels, addresses])
}
