import { type Block, canonicalCidr, contains, parseBlock } from '#shared/addresses.ts'
import type { Pool } from '#shared/host.ts'
import { oncePer } from './once-per.ts'

/** Reading a CIDR costs more than all else in a placement; a host's pools stay the same objects while its report does. */
export const blockOf = oncePer((pool: Pool): Block => parseBlock(pool.cidr))
export const cidrOf = oncePer((pool: Pool): string => canonicalCidr(pool.cidr))

/** Of each family that there are pools of, those pools. */
export const poolsByFamily = oncePer((pools: Pool[]): Pool[][] =>
  ([4, 6] as const)
    .map((family) => pools.filter((pool) => blockOf(pool).family === family))
    .filter((ofFamily) => ofFamily.length > 0),
)

export function poolOf(pools: Pool[], address: Block): Pool | undefined {
  return pools.find((pool) => contains(blockOf(pool), address))
}
