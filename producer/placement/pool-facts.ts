import { type Block, canonicalCidr, contains, networkOf, parseBlock } from '#shared/network/addresses.ts'
import { excludedOffsets, type Pool } from '#shared/network/pool.ts'
import { memoize } from './memoize.ts'

/** Memoized, as parsing a CIDR costs more than the rest of a placement. A host's pools stay the same objects as its report. */
export const blockOf = memoize((pool: Pool): Block => parseBlock(pool.cidr))
export const cidrOf = memoize((pool: Pool): string => canonicalCidr(pool.cidr))
export const excludedOf = memoize(excludedOffsets)

/** Returns the pools of each family that has any. */
export const poolsByFamily = memoize((pools: Pool[]): Pool[][] =>
  ([4, 6] as const)
    .map((family) => pools.filter((pool) => blockOf(pool).family === family))
    .filter((ofFamily) => ofFamily.length > 0),
)

export function poolOf(pools: Pool[], address: Block): Pool | undefined {
  return pools.find((pool) => contains(blockOf(pool), address))
}

/** Whether a pool ever gives out an address in it: it must not be the gateway, excluded, or the network's own. */
export function givesOut(pool: Pool, { value }: Block): boolean {
  const offset = value - networkOf(blockOf(pool))
  return !excludedOf(pool).some(([from, to]) => offset >= from && offset <= to)
}
