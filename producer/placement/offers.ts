import type { CreateJail } from '#shared/jail.ts'
import { networkOf, parseBlock } from '#shared/network/addresses.ts'
import type { Pool } from '#shared/network/pool.ts'
import type { PlacementHost } from './placement-host.ts'
import { blockOf, givesOut } from './pool-facts.ts'

/** What the fleet, or one of its hosts, has at all. `pools`: by family and prefix length, by network, by definition. */
type Offer = {
  worlds: Set<string>
  limitsDisk: boolean
  allowsSetuid: boolean
  pools: Map<string, Map<bigint, Map<string, Pool>>>
}
type Offers = { all: Offer; byHost: Map<string, Offer> }

export function offersOf(hosts: PlacementHost[]): Offers {
  return { all: offerOf(hosts), byHost: new Map(hosts.map((host) => [host.id, offerOf([host])])) }
}

function offerOf(hosts: PlacementHost[]): Offer {
  const pools: Offer['pools'] = new Map()
  for (const pool of hosts.flatMap((host) => host.pools)) {
    const block = blockOf(pool)
    const size = `${block.family}/${block.prefix}`
    const network = networkOf(block)
    const ofSize = pools.get(size) ?? new Map<bigint, Map<string, Pool>>()
    const alike = ofSize.get(network) ?? new Map<string, Pool>()
    alike.set(JSON.stringify([pool.gateway, pool.exclude]), pool)
    pools.set(size, ofSize.set(network, alike))
  }
  const worlds = new Set(hosts.flatMap((host) => host.worlds.map(({ name }) => name)))
  return {
    worlds,
    limitsDisk: hosts.some(({ supports }) => supports.diskLimit),
    allowsSetuid: hosts.some(({ supports }) => supports.setuid !== 'never'),
    pools,
  }
}

/** Returns what a request asks for that does not exist in the fleet. What exists but has no room at the moment is no fault. */
export function unknownTo({ all, byHost }: Offers, { host, world, limits, privileges, addresses = [] }: CreateJail) {
  if (!all.worlds.has(world)) return [unknown('world', world, 'no host of the fleet offers', 'world')]
  const offer = host === undefined ? all : byHost.get(host)
  if (!offer) return [unknown('host', host ?? '', 'no host of the fleet is called')]
  const who = host === undefined ? 'no host of the fleet can' : `host ${host} cannot`
  return [
    ...(offer.worlds.has(world) ? [] : [unknown('world', world, `host ${host} does not offer`, 'world')]),
    ...(limits?.disk === undefined || offer.limitsDisk ? [] : [{ field: 'limits.disk', message: `${who} hold a limit of disk` }]),
    ...(!privileges?.setuid || offer.allowsSetuid
      ? []
      : [
          {
            field: 'privileges.setuid',
            message: `${who} allow setuid programs in jails, by privileges.setuid of its worker.yaml`,
          },
        ]),
    ...addresses.flatMap((address, i) =>
      isGivenOut(offer, address)
        ? []
        : [
            {
              field: `addresses.${i}`,
              value: address,
              message: `${who} give out ${address}, of no pool or excluded from it`,
              cause: `${who} give this out, of no pool or excluded from it`,
            },
          ],
    ),
  ]
}

/** A fault whose message ends with its value; its cause is the same for all values. */
function unknown(field: string, value: string, what: string, noun = '') {
  return { field, value, message: `${[what, noun].join(' ').trim()} ${value}`, cause: `${what} this${noun && ` ${noun}`}` }
}

function isGivenOut({ pools }: Offer, address: string): boolean {
  const asked = parseBlock(address)
  for (const [size, ofSize] of pools) {
    const [family, prefix = 0] = size.split('/').map(Number)
    if (family !== asked.family || (address.includes('/') && prefix !== asked.prefix)) continue
    const network = networkOf({ ...asked, prefix })
    for (const pool of ofSize.get(network)?.values() ?? []) if (givesOut(pool, asked)) return true
  }
  return false
}
