import { createHash } from 'node:crypto'
import { parseBlock } from '#shared/network/addresses.ts'
import { bridgeName, type DevHost, deriveHost } from './derive-host.ts'
import { hasIpv6, networksInUse } from './networks-in-use.ts'
import { findFreePort, isPortFree } from './processes/free-port.ts'
import type { StateDirectory } from './state-directory.ts'

/**
 * Returns the ports and the hosts of a state directory: those of an earlier start, and new ones where it had none. `askedPort`:
 * where the producer is to listen, or 0 for any free port. Neither listens yet, so both look free until then.
 */
export async function chooseHosts(
  state: StateDirectory,
  count: number,
  askedPort: number,
): Promise<{ port: number; redisPort: number; hosts: DevHost[] }> {
  const before = state.chosen()
  const hosts = [...(before.hosts ?? [])]
  const bridges = Array.from({ length: count }, (_, i) => bridgeName(state.path, `dev-${i + 1}`))
  const inUse = networksInUse(bridges)
  while (hosts.length < count) {
    const taken = hosts.flatMap(({ pools }) => pools.map(({ cidr }) => parseBlock(cidr)))
    hosts.push(deriveHost(state.path, hosts.length + 1, [...inUse, ...taken], { ipv6: hasIpv6() }))
  }
  const known = before.redisPort
  const isKept = known !== undefined && known !== askedPort && (await isPortFree(known))
  const redisPort = isKept ? known : await findFreePort(seedOf(state.path), askedPort)
  const port = askedPort || (await findFreePort(seedOf(state.path) + 1, redisPort))
  state.keepChosen({ redisPort, hosts })
  return { port, redisPort, hosts: hosts.slice(0, count) }
}

/** Returns where to look first for a free port: the same for the same path. */
function seedOf(path: string): number {
  return createHash('sha256').update(path).digest().readUInt32BE(0)
}
