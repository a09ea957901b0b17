import type { Logger } from 'pino'
import { bareAddress } from '#shared/network/addresses.ts'
import { askTime, fleetTimeMs, mostOffMs } from '#shared/redis/fleet-clock.ts'
import { answersOf } from '#shared/redis/transactions.ts'
import type { FleetHosts } from '../../placement/placement-host.ts'
import type { Change } from '../../records/change.ts'
import { Lease, leaseFor } from '../../records/jails/leases.ts'
import type { Store } from '../../records/store.ts'
import { heldOnOtherRoots } from './held-addresses.ts'
import { readDrift } from './orphans.ts'

type Deps = Store & { hosts: Pick<FleetHosts, 'all'>; log: Logger }
type Leased = { address: string; holder: string }

/** How long a lease must be without its jail before it is released. */
const quarantineMs = 600_000
const pageSize = 500

/**
 * Releases leases without a jail after a quarantine: nothing should ever leave one, so there is time to notice what did. An
 * address held for a forgotten host that has come back is stray if no orphan of the host has it, and it has come back with the root
 * that the jail was on. The time is that of Redis, and nothing is released while this computer has quite another.
 */
export async function releaseStrayLeases(deps: Deps, now?: number): Promise<void> {
  const { redis, keys, scripts, hosts, log } = deps
  if (Math.abs(await askTime(redis)) > mostOffMs) return
  const nowMs = now ?? fleetTimeMs()
  const pools = hosts.all().flatMap((host) => host.pools)
  const stray: Leased[] = []
  const returned = await holdersOfReturnedHosts()
  for await (const page of redis.hscanStream(keys.leases, { count: pageSize }))
    stray.push(...(await strayAmong(toLeased(page as string[]))))

  const known = new Set(stray.map(({ address }) => address))
  const before = await redis.zrange(keys.strayLeases, '0', '-1')
  const again = before.filter((address) => !known.has(address))
  if (again.length > 0) await redis.zrem(keys.strayLeases, ...again)
  for (const { address, holder } of stray) {
    await redis.zadd(keys.strayLeases, 'NX', nowMs, address)
    const sinceMs = Number(await redis.zscore(keys.strayLeases, address))
    if (nowMs - sinceMs < quarantineMs) continue
    const host = hosts.all().find(({ id }) => keys.forgottenHolder(id) === holder)
    const commands = [['ZREM', keys.strayLeases, address], ...(host ? [['HDEL', keys.heldFor(host.id), address]] : [])]
    const [, , cidr] = leaseFor(address, pools)
    const release: Partial<Change> = host
      ? { unhold: { held: keys.heldLeases(host.id), holder, addresses: [address] } }
      : { release: [[address, keys.returned(cidr), holder]] }
    await scripts.commit({ unchanged: [], ...release, commands, events: [] })
    log.warn({ address, holder }, 'gave back a lease without a jail')
  }

  async function strayAmong(page: Leased[]): Promise<Leased[]> {
    const pipeline = redis.pipeline()
    for (const { holder } of page) pipeline.hget(keys.jail(holder), 'leases')
    const answers = await answersOf(pipeline)
    return page.filter(({ address, holder }, i) => {
      if (holder === keys.forgottenHolder(holder.slice(holder.indexOf(':') + 1)))
        return returned.get(holder)?.has(address) === false
      const leases = JSON.parse((answers[i] as string | null) ?? '[]') as unknown[]
      return !leases.some((lease) => Lease.parse(lease)[0] === address)
    })
  }

  /** Returns, for each host that is up or draining, the holder of its held addresses, and which of them its orphans have. */
  async function holdersOfReturnedHosts(): Promise<Map<string, Set<string>>> {
    const holders = new Map<string, Set<string>>()
    for (const { id, state } of hosts.all()) {
      if (state !== 'up' && state !== 'draining') continue
      const drift = await readDrift(deps, id)
      const addresses = drift.flatMap((entry) => (entry.found === 'orphan' ? entry.spec.addresses : []))
      const elsewhere = await heldOnOtherRoots(deps, id)
      holders.set(keys.forgottenHolder(id), new Set([...addresses.map(bareAddress), ...elsewhere]))
    }
    return holders
  }
}

function toLeased(pairs: string[]): Leased[] {
  return Array.from({ length: pairs.length / 2 }, (_, i) => ({ address: pairs[2 * i] ?? '', holder: pairs[2 * i + 1] ?? '' }))
}
