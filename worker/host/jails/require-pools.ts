import { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { contains, parseBlock } from '#shared/network/addresses.ts'
import type { Pool } from '#shared/network/pool.ts'

/** Returns the addresses of a jail that are in no pool of its host, as after a change of its configuration. */
export function addressesWithoutPool(pools: Pool[], { addresses }: Pick<JailSpec, 'addresses'>): string[] {
  return addresses.filter((address) => !pools.some(({ cidr }) => contains(parseBlock(cidr), parseBlock(address))))
}

/** @throws ProvostError `address_not_in_pool`. */
export function requirePools(pools: Pool[], jail: Pick<JailSpec, 'name' | 'addresses'>): void {
  const without = addressesWithoutPool(pools, jail)
  if (without.length === 0) return
  throw new ProvostError('address_not_in_pool', `${without.join(', ')} of jail ${jail.name} is in no pool of this host.`, {
    hint: "Put the pool back into network.pools of the host's worker.yaml and start its worker again, or destroy the jail.",
  })
}
