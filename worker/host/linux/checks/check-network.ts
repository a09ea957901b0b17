import { existsSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { ProvostError } from '#shared/errors.ts'
import { checkPools } from '../../checks/check-pools.ts'
import { fault, fine, type Result } from '../../checks/check-result.ts'
import { findProgram } from '../../programs/run-command.ts'
import type { LinuxHost } from '../linux-host.ts'
import { bridgeName } from '../network/bridge.ts'
import { filterRules } from '../network/filter-rules.ts'

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

/** Asks the kernel whether it takes the rules of a jail, without leaving any. */
export async function checkFilter({ run, config }: LinuxHost): Promise<Result> {
  if (process.getuid?.() !== 0) return fault('Only root can try whether it works.', 'Run this as root.')
  if (!findProgram('nft', config.commandPath)) return fault('It needs nft.', 'apt-get install nftables, or set commandPath.')
  const rules = filterRules({ ...sample, pools: config.network.pools, allowHost: config.network.allowHost ?? [] })
  try {
    await run('nft', ['--check', '--file', '-'], { input: rules })
    return fine("A jail's link passes only its own addresses.")
  } catch (error) {
    if (!(error instanceof ProvostError)) throw error
    const remedy =
      'Run a kernel with CONFIG_NETFILTER_INGRESS, CONFIG_NETFILTER_EGRESS and CONFIG_NFT_FIB_NETDEV (Linux 5.16 or newer).'
    return fault(`The kernel does not take the rules of a jail's link: ${error.facts.logTail ?? error.message}`, remedy)
  }
}

/** Of a jail that there is not, on a link that every host has. */
const sample = {
  table: 'provost_check',
  link: 'lo',
  mac: '02:00:00:00:00:01',
  addresses: ['192.0.2.2/24', '2001:db8::2/64'],
  mark: 1,
  otherMarks: { first: 1, last: 2 },
}
