import { z } from 'zod'
import { canonicalCidr, contains, formatAddress, parseBlock } from '#shared/network/addresses.ts'
import type { Pool } from '#shared/network/pool.ts'

/** Address, prefix length, and the CIDR of the pool that the address returns to. */
export const Lease = z.tuple([z.string(), z.int(), z.string()])
export type Lease = z.infer<typeof Lease>

/** Returns the addresses of a jail in CIDR form, as HTTP shows them. */
export function addressesOf({ leases }: { leases: Lease[] }): string[] {
  return leases.map(([address, prefix]) => `${address}/${prefix}`)
}

/** Returns the lease of an address that a jail has on its host. An address that is in none of `pools` returns to no pool. */
export function leaseFor(address: string, pools: Pool[]): Lease {
  const block = parseBlock(address)
  const pool = pools.find(({ cidr }) => contains(parseBlock(cidr), block))
  const cidr = canonicalCidr(pool?.cidr ?? address)
  return [formatAddress(block.family, block.value), block.prefix, cidr]
}
