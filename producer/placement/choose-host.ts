import { ProvostError } from '#shared/errors.ts'
import { resources } from '#shared/host.ts'
import type { CreateJail, Limits } from '#shared/jail.ts'
import { parseBlock } from '#shared/network/addresses.ts'
import type { Pool } from '#shared/network/pool.ts'
import type { PlacementHost } from './placement-host.ts'
import { poolOf, poolsByFamily } from './pool-facts.ts'
import type { Refusal } from './refusals.ts'
import { neededOf, type Requirement, requirementsOf, worldOn } from './requirements.ts'

/** The choices for one address of a jail: any free address of a pool, or a requested one. */
export type Wanted = ({ pool: Pool } | { pool: Pool; address: string })[]

export type Candidate = { host: PlacementHost; limits: Limits; worldDigest: string; wanted: Wanted[] }

/**
 * The hosts that could take a jail, the best first; `slice` returns none past the end. They are searched only as far as they are
 * read, since nearly always the first one takes the jail.
 */
export type Candidates = { slice(from: number, to: number): Candidate[] }
export type Placement = {
  candidates: Candidates
  /** Returns why each of the other hosts cannot take it. */
  refusals(): Refusal[]
}

export type Policy = 'spread' | 'pack'

/**
 * Returns the hosts that could take a jail, the best first, and why the others cannot. Pure: what a host has left to promise and
 * which addresses are free is decided when the jail is admitted.
 *
 * @param fleet The same array as long as no host in it is another object: values derived from all hosts are memoized by it.
 * @throws ProvostError `unknown_host` when the requested host is not in the fleet.
 */
export function chooseHosts(ask: CreateJail, fleet: PlacementHost[], policy: Policy): Placement {
  const considered = ask.host ? fleet.filter(({ id }) => id === ask.host) : fleet
  if (ask.host && considered.length === 0) throw new ProvostError('unknown_host', `No host of the fleet is called ${ask.host}.`)
  const requirements = requirementsOf(ask, fleet)
  const fits = (host: PlacementHost) => requirements.every((requirement) => requirement.met(host))
  const ranked = (host: PlacementHost) => rank(host, ask, policy)
  let all: PlacementHost[] | undefined
  // Hosts that were returned keep their positions, since hosts change while the first ones are tried.
  let first: PlacementHost[] = []
  function firstOf(count: number): PlacementHost[] {
    if (all || count <= first.length) return all ?? first
    if (first.length === 0 && count <= fewHosts) {
      first = bestOf(considered, count, fits, ranked)
      return first
    }
    const rest = considered.filter((host) => fits(host) && !first.includes(host))
    const sorted = rest.map(ranked).sort(byPreference)
    all = [...first, ...sorted.map(({ host }) => host)]
    return all
  }
  return {
    candidates: {
      slice: (from, to) =>
        firstOf(to)
          .slice(from, to)
          .map((host) => toCandidate(ask, host)),
    },
    refusals: () => considered.flatMap((host) => refusalsOf(host, requirements)),
  }
}

function refusalsOf(host: PlacementHost, requirements: Requirement[]): Refusal[] {
  const first = requirements.find((requirement) => !requirement.met(host))
  return first ? [{ host: host.id, code: first.code, detail: first.detail(host) }] : []
}

type Ranked = { host: PlacementHost; isFull: boolean; isReady: boolean; share: number }

function rank(host: PlacementHost, ask: CreateJail, policy: Policy): Ranked {
  const { promised, capacity } = host
  const share = Math.max(promised.memory / capacity.memory, promised.cpu / capacity.cpu, promised.jails / capacity.jails)
  return {
    host,
    isFull: !hasRoom(host, ask),
    isReady: worldOn(host, ask.world)?.state === 'ready',
    share: policy === 'spread' ? share : -share,
  }
}

/** Whether a host has room, as of a second ago: one without is tried last, not refused. */
export function hasRoom(host: PlacementHost, ask: CreateJail): boolean {
  const { promised, capacity } = host
  // A loop, not `every`, as this is called for all hosts and each jail.
  for (const resource of resources) {
    const most = capacity[resource]
    if (most !== undefined && promised[resource] + neededOf(resource, ask, host) > most) return false
  }
  return true
}

/** Orders by room, ready world, fewest open operations, lowest promised share (highest, to pack), name. */
function byPreference(a: Ranked, b: Ranked): number {
  if (a.isFull !== b.isFull) return a.isFull ? 1 : -1
  if (a.isReady !== b.isReady) return a.isReady ? -1 : 1
  return a.host.operations - b.host.operations || a.share - b.share || (a.host.id < b.host.id ? -1 : 1)
}

// Up to this many are chosen without sorting all hosts.
const fewHosts = 5

function bestOf(
  hosts: PlacementHost[],
  count: number,
  fits: (host: PlacementHost) => boolean,
  rankOf: (host: PlacementHost) => Ranked,
): PlacementHost[] {
  const best: Ranked[] = []
  for (const host of hosts) {
    const last = best[count - 1]
    // Skips nearly all hosts at once, before `fits` is called for them.
    if (last && !last.isFull && last.isReady && host.operations > last.host.operations) continue
    const ranked = rankOf(host)
    if ((last && byPreference(last, ranked) < 0) || !fits(host)) continue
    best.push(ranked)
    best.sort(byPreference).splice(count)
  }
  return best.map(({ host }) => host)
}

function toCandidate(ask: CreateJail, host: PlacementHost): Candidate {
  return {
    host,
    limits: { ...host.defaults, ...defined(ask.limits ?? {}) },
    worldDigest: worldOn(host, ask.world)?.digest ?? '',
    wanted: wantedAddresses(ask, host),
  }
}

/** Returns the requested addresses, or a free one of each family that the host's pools have. */
function wantedAddresses({ addresses }: CreateJail, { pools }: PlacementHost): Wanted[] {
  if (!addresses) return poolsByFamily(pools).map((ofFamily) => ofFamily.map((pool) => ({ pool })))
  return addresses.map((address) => {
    const pool = poolOf(pools, parseBlock(address))
    return pool ? [{ pool, address }] : []
  })
}

function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as never
}
