import { bareAddress } from '#shared/network/addresses.ts'
import type { FleetHosts, PlacementHost } from '../../placement/placement-host.ts'
import { merge } from '../../records/change.ts'
import { leaseFor } from '../../records/jails/leases.ts'
import type { Store } from '../../records/store.ts'
import { passHeld } from './held-addresses.ts'
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
    const own = keys.forgottenHolder(host.id)
    const others = new Map(addresses.flatMap((address, i) => (holders[i] === own ? [] : [[address, holders[i]]])))
    for (const { spec } of orphans) {
      const theirs = spec.addresses.map(bareAddress).filter((address) => others.has(address))
      // Once a destroy of it was asked for, its end releases what is held.
      if (theirs.length === 0 || (await redis.exists(keys.cleaning(spec.provision)))) continue
      if (theirs.some((address) => others.get(address) === null)) await holdAddresses(store, host, spec.addresses)
      for (const change of await passHeld(store, host, spec)) await store.scripts.commit(merge(change))
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
