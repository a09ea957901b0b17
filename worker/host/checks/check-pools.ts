import { contains, networkOf, parseBlock } from '#shared/network/addresses.ts'
import { excludedOffsets, type Pool } from '#shared/network/pool.ts'
import { bare } from '../addresses.ts'
import { fault, fine, type Result } from './check-result.ts'

/** An address on an interface of the host, without its prefix length. */
type OwnAddress = { name: string; address: string }

/**
 * Checks that no pool has an address that the host itself has: jail(8) would take it off the host with the jail. `own` must not
 * include the addresses of jails. The gateway of a pool may be on `gatewayInterface` only.
 */
export function checkPools(pools: Pool[], own: OwnAddress[], gatewayInterface: string | undefined): Result {
  const taken = pools.flatMap((pool) =>
    own
      .filter(({ name, address }) => isGivenOut(pool, address) || (isGateway(pool, address) && name !== gatewayInterface))
      .map(({ name, address }) => `${address} on ${name} is inside pool ${pool.name}`),
  )
  if (taken.length === 0) return fine('No pool holds an address of this host.')
  return fault(`${taken.join(', ')}.`, 'Put the address into exclude of the pool, or choose another pool.')
}

function isGateway({ gateway }: Pool, address: string): boolean {
  return gateway !== undefined && bare(gateway) === bare(address)
}

function isGivenOut(pool: Pool, address: string): boolean {
  const [block, own] = [parseBlock(pool.cidr), parseBlock(address)]
  if (!contains(block, own)) return false
  const offset = own.value - networkOf(block)
  return !excludedOffsets(pool).some(([first, last]) => first <= offset && offset <= last)
}

/** Returns the addresses in what `ifconfig -a` prints on FreeBSD, link-local ones without their scope (ifconfig(8)). */
export function addressesOf(ifconfig: string): OwnAddress[] {
  const addresses: OwnAddress[] = []
  let name = ''
  for (const line of ifconfig.split('\n')) {
    name = /^([^\s:]+): flags=/.exec(line)?.[1] ?? name
    const address = /^\s+inet6? ([0-9a-fA-F:.]+)/.exec(line)?.[1]
    if (address) addresses.push({ name, address })
  }
  return addresses
}
