import { bareAddress } from '#shared/network/addresses.ts'
import type { FleetHosts, PlacementHost } from '../../placement/placement-host.ts'
import { leaseFor } from '../../records/jails/leases.ts'
import type { Store } from '../../records/store.ts'
import { readDrift } from './orphans.ts'

/**
 * Holds the addresses of all orphans, which are jails that live: nobody else may be given them. They are held as those of a
 * forgotten host are, until the orphan is adopted or is gone. An address that a jail of the fleet has stays its.
 */
export async function holdOrphans(store: Store & { hosts: Pick<FleetHosts, 'all'> }): Promise<void> {
  const { redis, keys, hosts } = store
  for (const host of hosts.all()) {
    if (host.drift === 0) continue
    const orphans = (await readDrift(store, host.id)).filter((entry) => entry.found === 'orphan')
    const addresses = orphans.flatMap(({ spec }) => spec.addresses.map(bareAddress))
    const holders = addresses.length === 0 ? [] : await redis.hmget(keys.leases, ...addresses)
    const free = new Set(addresses.filter((_, i) => holders[i] === null))
    for (const { spec } of orphans) {
      if (!spec.addresses.some((address) => free.has(bareAddress(address)))) continue
      // Once a destroy of it was asked for, its end releases what is held.
      if (!(await redis.exists(keys.cleaning(spec.provision)))) await holdAddresses(store, host, spec.addresses)
    }
  }
}

/** Holds those of a host's addresses that are leased to nobody. */
export async function holdAddresses(
  { redis, keys, scripts }: Store,
  host: Pick<PlacementHost, 'id' | 'pools'>,
  addresses: string[],
): Promise<void> {
  if (addresses.length === 0) return
  const holders = await redis.hmget(keys.leases, ...addresses.map(bareAddress))
  for (const [i, text] of addresses.entries()) {
    if (holders[i] !== null) continue
    const [address, , cidr] = leaseFor(text, host.pools)
    const holder = keys.forgottenHolder(host.id)
    const commands = [['HSET', keys.heldLeases(host.id), address, keys.returned(cidr)]]
    await scripts.commit({ unchanged: [], lease: [[address, holder, holder]], commands, events: [] })
  }
}
