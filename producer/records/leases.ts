import { canonicalCidr, contains, formatAddress, parseBlock } from '#shared/addresses.ts'
import type { Pool } from '#shared/host.ts'
import type { Lease } from './records.ts'

/** The lease of an address that a host says a jail has. One that is in none of its pools any more goes back to nowhere. */
export function leaseOf(address: string, pools: Pool[]): Lease {
  const block = parseBlock(address)
  const pool = pools.find(({ cidr }) => contains(parseBlock(cidr), block))
  const cidr = canonicalCidr(pool?.cidr ?? address)
  return [formatAddress(block.family, block.value), block.prefix, cidr]
}
