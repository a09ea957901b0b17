import type { Pool } from '#shared/network/pool.ts'
import { type PoolHost, poolKey } from './memoize-by-pools.ts'

/**
 * Returns the pools of each host, in the order of `hosts`. Each pool also excludes what any other host that shares it excludes:
 * a host excludes its own address of the pool, which another host must not give out either.
 */
export function sharedPools(hosts: PoolHost[]): Pool[][] {
  const kept = new Map<string, Set<string>>()
  for (const { pools } of hosts)
    for (const pool of pools) {
      const addresses = kept.get(poolKey(pool)) ?? new Set<string>()
      kept.set(poolKey(pool), addresses)
      for (const address of [...pool.exclude, ...(pool.gateway ? [pool.gateway] : [])]) addresses.add(address)
    }
  return hosts.map(({ pools }) => pools.map((pool) => ({ ...pool, exclude: [...(kept.get(poolKey(pool)) ?? [])].sort() })))
}
