import type { HostReport } from '#shared/host.ts'
import { networkOf, overlaps } from '#shared/network/addresses.ts'
import type { Pool } from '#shared/network/pool.ts'
import { blockOf, cidrOf } from '../placement/pool-facts.ts'

type Owned = Pick<HostReport, 'id' | 'pools'>

/** One pool, however many hosts share it. `owner`: the place of its first host. */
type Known = { pool: Pool; owner: number; firstOverlap: Known | undefined }

/**
 * The hosts whose pools are at fault, and how. Pools of one CIDR and name are one pool, shared by their hosts; any other
 * overlap between two hosts is a fault of the later one. `hosts` in their order.
 */
export function poolConflicts(hosts: Owned[]): Map<string, string> {
  const known = knownPools(hosts)
  noteOverlaps([...known.values()])
  const conflicts = new Map<string, string>()
  for (const [place, { id, pools }] of hosts.entries()) {
    for (const pool of pools) {
      const other = known.get(keyOf(pool))?.firstOverlap
      if (!other || other.owner >= place || conflicts.has(id)) continue
      conflicts.set(id, `pool ${pool.cidr} overlaps pool ${other.pool.cidr} of host ${hosts[other.owner]?.id}`)
    }
  }
  return conflicts
}

/** The same, worked out anew only when the pools of some host changed. */
export function makePoolConflicts(): typeof poolConflicts {
  let last: Owned[] = []
  let conflicts = new Map<string, string>()
  return (hosts) => {
    const isSame = hosts.length === last.length && hosts.every(({ pools }, i) => pools === last[i]?.pools)
    if (!isSame) conflicts = poolConflicts(hosts)
    last = hosts
    return conflicts
  }
}

const keyOf = (pool: Pool) => `${cidrOf(pool)} ${pool.name}`

function knownPools(hosts: Owned[]): Map<string, Known> {
  const known = new Map<string, Known>()
  for (const [owner, { pools }] of hosts.entries())
    for (const pool of pools) if (!known.has(keyOf(pool))) known.set(keyOf(pool), { pool, owner, firstOverlap: undefined })
  return known
}

/** A pool that holds the one looked at. `firstHolding`: the earliest of it and those that hold it. */
type Holder = { known: Known; firstHolding: Known; firstWithin: Known | undefined }

/**
 * Tells each pool of the earliest other one that it overlaps. Of two CIDRs that overlap one holds the other, so in their
 * order by address those that hold a pool are a stack.
 */
function noteOverlaps(pools: Known[]): void {
  const holders: Holder[] = []
  for (const known of pools.sort(byAddress)) {
    while (holders.length > 0 && !holds(holders.at(-1), known)) leaveLast(holders)
    const first = holders.at(-1)?.firstHolding
    known.firstOverlap = first
    holders.push({ known, firstHolding: first ? earlier(first, known) : known, firstWithin: undefined })
  }
  while (holders.length > 0) leaveLast(holders)
}

const holds = (holder: Holder | undefined, { pool }: Known) =>
  holder !== undefined && overlaps(blockOf(holder.known.pool), blockOf(pool))

function leaveLast(holders: Holder[]): void {
  const { known, firstWithin } = holders.pop() as Holder
  if (firstWithin) known.firstOverlap = known.firstOverlap ? earlier(known.firstOverlap, firstWithin) : firstWithin
  const holder = holders.at(-1)
  if (!holder) return
  const first = firstWithin ? earlier(known, firstWithin) : known
  holder.firstWithin = holder.firstWithin ? earlier(holder.firstWithin, first) : first
}

const earlier = (a: Known, b: Known) => (a.owner <= b.owner ? a : b)

function byAddress({ pool: a }: Known, { pool: b }: Known): number {
  const [left, right] = [blockOf(a), blockOf(b)]
  const [from, to] = [networkOf(left), networkOf(right)]
  return left.family - right.family || (from < to ? -1 : from > to ? 1 : left.prefix - right.prefix)
}
