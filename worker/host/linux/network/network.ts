import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { contains, familyOf, parseBlock } from '#shared/network/addresses.ts'
import { sameAddresses } from '../../addresses.ts'
import { processesIn } from '../limits/cgroups.ts'
import type { LinuxHost } from '../linux-host.ts'
import { numbersOf } from '../processes/system-calls.ts'
import { rangeOf } from '../root/id-range.ts'
import { isMountPoint, unmount } from '../root/mounts.ts'
import { removeSharedDirectories } from '../root/shared-directories.ts'
import { ensureUserNamespace } from '../root/user-namespace.ts'
import {
  attachToBridge,
  bridgeMtu,
  bridgeName,
  isOnBridge,
  isUp,
  noLinkLocal,
  removeFromBridge,
  removeUnusedBridge,
} from './bridge.ts'
import { ensureFilter, filteredLinks, hasFilter, removeFilter } from './filter.ts'

const inNamespace = [join(import.meta.dirname, 'make-namespace.pl'), numbersOf('mount', 'setns', 'unshare')]

/**
 * Makes the jail a network namespace of its own, bound to a file, with `lo` and one link `eth0` that has the leased addresses and
 * no other. It belongs to the jail's user namespace: a jail's root may use ports below 1024 in it. The file is in a directory of ours and not in that of ip-netns(8), which stays mounted.
 */
export async function ensureNetwork(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { network, veth, userNamespace } = host.layout.jail(jail.name)
  if (existsSync(network) || existsSync(`/sys/class/net/${veth}`)) {
    // Its rules are put there anew: somebody may have changed them, or an older worker made none.
    if (await isComplete(host, jail, signal)) return ensureFilter(host, jail, signal)
    await removeNetwork(host, jail, signal)
  }
  mkdirSync(host.layout.networks, { recursive: true, mode: 0o700 })
  writeFileSync(network, '')
  const input = `${insideLines(host, jail).join('\n')}\n`
  // Where the root is mounted it is there.
  await ensureUserNamespace(host, jail, signal)
  // It makes the namespace, binds it to the file and becomes ip, which makes the link from inside.
  await host.run('perl', [...inNamespace, userNamespace, network, 'ip', '-batch', '-'], { input, signal })
  // At once: nothing of the client runs in this namespace before both have ended.
  const both = await Promise.allSettled([ensureFilter(host, jail, signal), attachToBridge(host, veth, signal)])
  for (const each of both) if (each.status === 'rejected') throw each.reason
}

export async function removeNetwork(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { network, veth } = host.layout.jail(jail.name)
  // The link first: the kernel would remove it with its namespace, but some time later.
  if (existsSync(`/sys/class/net/${veth}`)) await removeFromBridge(host, veth, signal)
  await removeFilter(host, jail, signal)
  if (isMountPoint(network)) await unmount(host.run, [network], signal)
  rmSync(network, { force: true })
  await removeUnusedBridge(host, signal)
  removeSharedDirectories(host)
}

export function hasNetwork(host: LinuxHost, jail: JailSpec): boolean {
  const { network, veth } = host.layout.jail(jail.name)
  return existsSync(network) || existsSync(`/sys/class/net/${veth}`) || hasFilter(host, jail)
}

/** Returns the jails whose link is gone, not on the bridge, not up, or without its rules. */
export async function unlinkedJails(host: LinuxHost, jails: JailSpec[]): Promise<Set<string>> {
  if (jails.length === 0) return new Set()
  const filtered = await filteredLinks(host)
  const linked = (name: string) => {
    const { veth, filter } = host.layout.jail(name)
    return filtered.has(filter) && isOnBridge(host, veth) && isUp(veth) && isUp(bridgeName(host))
  }
  return new Set(jails.flatMap(({ name }) => (linked(name) ? [] : [name])))
}

type Inside = { owner: number; links: { name: string; addresses: string[] }[] }

/** Returns who is root of a jail's namespace, by the host's ids, and the links in it, with their addresses in CIDR form. */
async function lookInside(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<Inside> {
  const { network } = host.layout.jail(jail.name)
  const look = 'stat -c %u /proc/sys/net/core/somaxconn && exec ip -json address'
  const { stdout } = await host.run('nsenter', [`--net=${network}`, 'sh', '-c', look], { signal })
  const [owner, json = ''] = stdout.split('\n')
  const seen: { ifname: string; addr_info: { local: string; prefixlen: number }[] }[] = JSON.parse(json)
  const links = seen.map(({ ifname, addr_info }) => ({
    name: ifname,
    addresses: addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
  }))
  return { owner: Number(owner), links }
}

async function isComplete(host: LinuxHost, jail: JailSpec, signal: AbortSignal): Promise<boolean> {
  const { network, veth } = host.layout.jail(jail.name)
  if (!isMountPoint(network) || !isOnBridge(host, veth)) return false
  const { owner, links } = await lookInside(host, jail, signal)
  if (owner !== rangeOf(host.layout, host.layout.jail(jail.name)) && !isInUse(host, jail)) return false
  return sameAddresses(links.find(({ name }) => name === 'eth0')?.addresses ?? [], jail.addresses)
}

/** Whether processes of the jail live: then it keeps the network that it was started on. */
function isInUse({ cgroups, layout }: LinuxHost, jail: JailSpec): boolean {
  return processesIn(cgroups, layout.jail(jail.name).cgroup).length > 0
}

function insideLines(host: LinuxHost, jail: JailSpec): string[] {
  const { veth, mac } = host.layout.jail(jail.name)
  const bridge = bridgeMtu(host)
  // Of both ends, and before the bridge has one: it would lower itself to that, and drop what the jail sends beyond its own.
  const mtu = bridge === undefined ? '' : `mtu ${bridge}`
  return [
    'link set dev lo up',
    // The other end is made in the namespace of the process named: this worker's.
    `link add name eth0 address ${mac} ${mtu} type veth peer name ${veth} ${mtu} netns ${process.pid}`,
    `link set dev eth0 ${noLinkLocal} up`,
    // nodad: nobody else has a leased address, and a tentative one cannot be used for a second or two.
    ...jail.addresses.map((address) => `address add ${address} dev eth0 ${familyOf(address) === 6 ? 'nodad' : ''}`),
    ...gatewaysFor(host, jail).map((gateway) => `route add default via ${gateway} dev eth0`),
  ]
}

/** Returns one gateway for each family. */
function gatewaysFor({ config }: LinuxHost, jail: JailSpec): string[] {
  const gateways = new Map<number, string>()
  for (const address of jail.addresses) {
    const block = parseBlock(address)
    const pool = config.network.pools.find(({ cidr }) => contains(parseBlock(cidr), block))
    if (!pool) throw new ProvostError('address_not_in_pool', `${address} is in no pool of this host.`)
    if (pool.gateway && !gateways.has(block.family)) gateways.set(block.family, pool.gateway)
  }
  return [...gateways.values()]
}
