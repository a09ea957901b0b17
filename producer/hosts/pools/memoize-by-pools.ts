import type { HostReport } from '#shared/host.ts'
import type { Pool } from '#shared/network/pool.ts'
import { cidrOf } from '../../placement/pool-facts.ts'

export type PoolHost = Pick<HostReport, 'id' | 'pools'>

/** Returns what identifies a pool: pools of one CIDR and name are one pool, shared by their hosts. */
export const poolKey = (pool: Pool) => `${cidrOf(pool)} ${pool.name}`

/** Returns a function that calls `derive` only if the pools of some host have changed, and otherwise repeats its last result. */
export function memoizeByPools<T>(derive: (hosts: PoolHost[]) => T): (hosts: PoolHost[]) => T {
  let last: PoolHost[] = []
  let result = derive(last)
  return (hosts) => {
    const isSame = hosts.length === last.length && hosts.every(({ pools }, i) => pools === last[i]?.pools)
    if (!isSame) result = derive(hosts)
    last = hosts
    return result
  }
}
