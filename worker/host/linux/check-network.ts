import { existsSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { contains, excludedOffsets, networkOf, parseBlock } from '#shared/addresses.ts'
import type { Pool } from '#shared/host.ts'
import { bridgeName } from './bridge.ts'
import { fault, fine, type Result } from './check-result.ts'
import type { LinuxHost } from './linux-host.ts'

export function checkMode({ config }: LinuxHost): Result {
  const { mode, bridge } = config.network
  if (mode !== 'vnet')
    return fault(`network.mode is ${mode}.`, 'Set it to vnet, and name a bridge: on Linux each jail has its own link.')
  if (existsSync(`/sys/class/net/${bridge}`) && !existsSync(`/sys/class/net/${bridge}/bridge`))
    return fault(`${bridge} is there and is no bridge.`, 'Choose another name for network.bridge.')
  return fine(`Each jail has its own link on ${bridge}.`)
}

/** An address that the host itself has must never be given to a jail. */
export function checkPools(host: LinuxHost): Result {
  const own = Object.entries(networkInterfaces()).flatMap(([name, list]) =>
    (list ?? []).map(({ address }) => ({ name, address })),
  )
  const bridge = bridgeName(host)
  const taken = host.config.network.pools.flatMap((pool) =>
    own
      .filter(({ name, address }) => isGivenOut(pool, address) || (address === pool.gateway && name !== bridge))
      .map(({ name, address }) => `${address} on ${name} is inside pool ${pool.name}`),
  )
  if (taken.length === 0) return fine('No pool holds an address of this host.')
  return fault(`${taken.join(', ')}.`, 'Put the address into exclude of the pool, or choose another pool.')
}

function isGivenOut(pool: Pool, address: string): boolean {
  const [block, own] = [parseBlock(pool.cidr), parseBlock(address)]
  if (!contains(block, own)) return false
  const offset = own.value - networkOf(block)
  return !excludedOffsets(pool).some(([first, last]) => first <= offset && offset <= last)
}
