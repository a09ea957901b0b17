import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { errnoOf } from '#shared/errors.ts'
import { inPool } from '#shared/network/pool.ts'
import { readValue } from '../limits/cgroups.ts'
import type { LinuxHost } from '../linux-host.ts'

/**
 * Puts the host's end of a jail's link on the bridge, and makes the bridge for the first one. A bridge that the operators had
 * made before is used as it is.
 */
export async function attachToBridge(host: LinuxHost, veth: string, signal: AbortSignal): Promise<void> {
  await host.bridgeLock(async () => {
    const bridge = bridgeName(host)
    const lines = [...bridgeLines(host, bridge), `link set dev ${veth} master ${bridge} ${noLinkLocal} up`]
    await host.run('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n`, signal })
  })
}

/** Removes the host's end of a jail's link, and the other with it. A bridge without any link would go back to an MTU of 1500. */
export async function removeFromBridge(host: LinuxHost, veth: string, signal: AbortSignal): Promise<void> {
  await host.bridgeLock(async () => {
    const mtu = bridgeMtu(host)
    const lines = [`link delete dev ${veth}`, ...(mtu === undefined ? [] : [`link set dev ${bridgeName(host)} mtu ${mtu}`])]
    await host.run('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n`, signal })
  })
}

/** Removes the bridge when no jail is on it and we have made it. */
export async function removeUnusedBridge(host: LinuxHost, signal: AbortSignal): Promise<void> {
  await host.bridgeLock(async () => {
    const bridge = bridgeName(host)
    if (!isOurs(host, bridge) || readdirSync(`/sys/class/net/${bridge}/brif`).length > 0) return
    await host.run('ip', ['link', 'delete', 'dev', bridge], { signal })
  })
}

/** Returns the largest packet that the bridge passes on, in bytes; undefined while there is none, since a new one has the default. */
export function bridgeMtu(host: LinuxHost): number | undefined {
  const text = readValue(`/sys/class/net/${bridgeName(host)}/mtu`)
  return text === undefined ? undefined : Number(text)
}

export function isOnBridge(host: LinuxHost, veth: string): boolean {
  return existsSync(`/sys/class/net/${bridgeName(host)}/brif/${veth}`)
}

/** Whether a link is there and was set up (netdevice(7), IFF_UP). */
export function isUp(link: string): boolean {
  try {
    return (Number(readFileSync(`/sys/class/net/${link}/flags`, 'utf8')) & 1) === 1
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}

export function bridgeName({ config }: LinuxHost): string {
  // The configuration has one wherever its mode is `vnet`, and no other mode passes the check of this runtime.
  return config.network.bridge ?? 'provost0'
}

/** Keeps the kernel from making an fe80:: address on each link that is up: nobody leased it. */
export const noLinkLocal = existsSync('/proc/sys/net/ipv6') ? 'addrgenmode none' : ''

/** All lines each time: a worker may have been killed between two of them. */
function bridgeLines({ config, layout }: LinuxHost, bridge: string): string[] {
  const exists = existsSync(`/sys/class/net/${bridge}`)
  if (exists && !isOurs({ layout }, bridge)) return []
  const gateways = config.network.pools.flatMap((pool) => (pool.gateway ? [inPool(pool, pool.gateway)] : []))
  return [
    ...(exists ? [] : [`link add name ${bridge} address ${layout.bridgeMac} type bridge`]),
    `link set dev ${bridge} ${noLinkLocal} up`,
    ...gateways.map((gateway) => `address replace ${gateway} dev ${bridge} ${gateway.includes(':') ? 'nodad' : ''}`),
  ]
}

function isOurs({ layout }: Pick<LinuxHost, 'layout'>, bridge: string): boolean {
  try {
    return readFileSync(`/sys/class/net/${bridge}/address`, 'utf8').trim() === layout.bridgeMac
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}
