import { type Block, canonicalCidr, contains, networkOf, parseBlock } from '#shared/network/addresses.ts'
import { excludedOffsets, type Pool } from '#shared/network/pool.ts'
import { oncePer } from './once-per.ts'

/** Reading a CIDR costs more than all else in a placement; a host's pools stay the same objects while its report does. */
export const blockOf = oncePer((pool: Pool): Block => parseBlock(pool.cidr))
export const cidrOf = oncePer((pool: Pool): string => canonicalCidr(pool.cidr))
export const excludedOf = oncePer(excludedOffsets)

/** Of each family that there are pools of, those pools. */
export const poolsByFamily = oncePer((pools: Pool[]): Pool[][] =>
  ([4, 6] as const)
    .map((family) => pools.filter((pool) => blockOf(pool).family === family))
    .filter((ofFamily) => ofFamily.length > 0),
)

export function poolOf(pools: Pool[], address: Block): Pool | undefined {
  return pools.find((pool) => contains(blockOf(pool), address))
}

/** Whether a pool ever gives out an address that lies in it: not its gateway, what it excludes, or the network's own. */
export function givesOut(pool: Pool, { value }: Block): boolean {
  const offset = value - networkOf(blockOf(pool))
  return !excludedOf(pool).some(([from, to]) => offset >= from && offset <= to)
}
