import { existsSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { checkPools } from '../../checks/check-pools.ts'
import { fault, fine, type Result } from '../../checks/check-result.ts'
import type { LinuxHost } from '../linux-host.ts'
import { bridgeName } from '../network/bridge.ts'

export function checkMode({ config }: LinuxHost): Result {
  const { mode, bridge } = config.network
  if (mode !== 'vnet')
    return fault(`network.mode is ${mode}.`, 'Set it to vnet, and name a bridge: on Linux each jail has its own link.')
  if (existsSync(`/sys/class/net/${bridge}`) && !existsSync(`/sys/class/net/${bridge}/bridge`))
    return fault(`${bridge} is there and is no bridge.`, 'Choose another name for network.bridge.')
  return fine(`Each jail has its own link on ${bridge}.`)
}

export function checkOwnAddresses(host: LinuxHost): Result {
  const own = Object.entries(networkInterfaces()).flatMap(([name, list]) =>
    (list ?? []).map(({ address }) => ({ name, address })),
  )
  return checkPools(host.config.network.pools, own, bridgeName(host))
}
