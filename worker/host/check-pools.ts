import { contains, networkOf, parseBlock } from '#shared/network/addresses.ts'
import type { Pool } from '#shared/network/pool.ts'
import { excludedOffsets } from '#shared/network/pool.ts'
import { fault, fine, type Result } from './check-result.ts'

/** An address on an interface of the host, without its prefix. */
export type OwnAddress = { name: string; address: string }

/**
 * An address that the host itself has must never be given to a jail: jail(8) takes it off the host with the jail.
 * `own` is without what jails were given. The gateway of a pool may be on `gatewayInterface` alone.
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
  if (gateway === undefined) return false
  const [a, b] = [parseBlock(gateway), parseBlock(address)]
  return a.family === b.family && a.value === b.value
}

function isGivenOut(pool: Pool, address: string): boolean {
  const [block, own] = [parseBlock(pool.cidr), parseBlock(address)]
  if (!contains(block, own)) return false
  const offset = own.value - networkOf(block)
  return !excludedOffsets(pool).some(([first, last]) => first <= offset && offset <= last)
}

/** The addresses in what `ifconfig -a` prints on FreeBSD, without the scope of a link-local one (ifconfig(8)). */
export function addressesOf(ifconfig: string): OwnAddress[] {
  const found: OwnAddress[] = []
  let name = ''
  for (const line of ifconfig.split('\n')) {
    name = /^([^\s:]+): flags=/.exec(line)?.[1] ?? name
    const address = /^\s+inet6? ([0-9a-fA-F:.]+)/.exec(line)?.[1]
    if (address) found.push({ name, address })
  }
  return found
}
