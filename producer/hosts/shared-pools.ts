import type { HostReport } from '#shared/host.ts'
import type { Pool } from '#shared/network/pool.ts'
import { cidrOf } from '../placement/pool-facts.ts'

type Owned = Pick<HostReport, 'id' | 'pools'>

const keyOf = (pool: Pool) => `${cidrOf(pool)} ${pool.name}`

/**
 * The pools of each host, in the order of `hosts`, each without what any host that shares it keeps for itself: a host
 * excludes its own address of the pool, and another one must not give it out.
 */
export function sharedPools(hosts: Owned[]): Pool[][] {
  const kept = new Map<string, Set<string>>()
  for (const { pools } of hosts)
    for (const pool of pools) {
      const addresses = kept.get(keyOf(pool)) ?? new Set<string>()
      kept.set(keyOf(pool), addresses)
      for (const address of [...pool.exclude, ...(pool.gateway ? [pool.gateway] : [])]) addresses.add(address)
    }
  return hosts.map(({ pools }) => pools.map((pool) => ({ ...pool, exclude: [...(kept.get(keyOf(pool)) ?? [])].sort() })))
}

/** The same, worked out anew only when the pools of some host changed: until then each host's array is the same one. */
export function makeSharedPools(): typeof sharedPools {
  let last: Owned[] = []
  let pools: Pool[][] = []
  return (hosts) => {
    const isSame = hosts.length === last.length && hosts.every((host, i) => host.pools === last[i]?.pools)
    if (!isSame) pools = sharedPools(hosts)
    last = hosts
    return pools
  }
}
