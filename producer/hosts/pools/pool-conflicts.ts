import { networkOf, overlaps } from '#shared/network/addresses.ts'
import type { Pool } from '#shared/network/pool.ts'
import { blockOf } from '../../placement/pool-facts.ts'
import { type PoolHost, poolKey } from './memoize-by-pools.ts'

/** One pool, however many hosts share it. `owner`: the index of its first host. */
type Known = { pool: Pool; owner: number; firstOverlap: Known | undefined }

/**
 * Returns, by the ids of hosts with a pool in conflict, what is wrong. Pools of one CIDR and name are one pool, shared by their
 * hosts; any other overlap of pools of two hosts is a conflict of the later host, in the order of `hosts`.
 */
export function poolConflicts(hosts: PoolHost[]): Map<string, string> {
  const known = knownPools(hosts)
  noteOverlaps([...known.values()])
  const conflicts = new Map<string, string>()
  for (const [i, { id, pools }] of hosts.entries()) {
    for (const pool of pools) {
      const other = known.get(poolKey(pool))?.firstOverlap
      if (!other || other.owner >= i || conflicts.has(id)) continue
      conflicts.set(id, `pool ${pool.cidr} overlaps pool ${other.pool.cidr} of host ${hosts[other.owner]?.id}`)
    }
  }
  return conflicts
}

function knownPools(hosts: PoolHost[]): Map<string, Known> {
  const known = new Map<string, Known>()
  for (const [owner, { pools }] of hosts.entries())
    for (const pool of pools) if (!known.has(poolKey(pool))) known.set(poolKey(pool), { pool, owner, firstOverlap: undefined })
  return known
}

/** A pool that contains the current one. `firstOuter`: the earliest of it and those that contain it; `firstInner`: in it. */
type Outer = { known: Known; firstOuter: Known; firstInner: Known | undefined }

/**
 * Sets `firstOverlap` of each pool: the earliest other pool that it overlaps. Of two overlapping CIDRs one contains the other,
 * so when pools are sorted by address those that contain the current one form a stack.
 */
function noteOverlaps(pools: Known[]): void {
  const stack: Outer[] = []
  for (const known of pools.sort(byAddress)) {
    while (stack.length > 0 && !containsPool(stack.at(-1), known)) leaveLast(stack)
    const first = stack.at(-1)?.firstOuter
    known.firstOverlap = first
    stack.push({ known, firstOuter: first ? earlier(first, known) : known, firstInner: undefined })
  }
  while (stack.length > 0) leaveLast(stack)
}

const containsPool = (outer: Outer | undefined, { pool }: Known) =>
  outer !== undefined && overlaps(blockOf(outer.known.pool), blockOf(pool))

function leaveLast(stack: Outer[]): void {
  const { known, firstInner } = stack.pop() as Outer
  if (firstInner) known.firstOverlap = known.firstOverlap ? earlier(known.firstOverlap, firstInner) : firstInner
  const outer = stack.at(-1)
  if (!outer) return
  const first = firstInner ? earlier(known, firstInner) : known
  outer.firstInner = outer.firstInner ? earlier(outer.firstInner, first) : first
}

const earlier = (a: Known, b: Known) => (a.owner <= b.owner ? a : b)

function byAddress({ pool: a }: Known, { pool: b }: Known): number {
  const [left, right] = [blockOf(a), blockOf(b)]
  const [from, to] = [networkOf(left), networkOf(right)]
  return left.family - right.family || (from < to ? -1 : from > to ? 1 : left.prefix - right.prefix)
}
