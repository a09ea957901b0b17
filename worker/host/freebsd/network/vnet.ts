import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { bareAddress, contains, familyOf, parseBlock } from '#shared/network/addresses.ts'
import { bare } from '../../addresses.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import { hostScript } from '../jail/host-script.ts'
import { type Interface, readInterfaces } from './interfaces.ts'

/**
 * Makes the jail's epair(4), with one end on the bridge. The kernel chooses its number, which `create` prints; both ends then get
 * names that only this jail has, so two jails that start together never take each other's.
 */
export async function ensureEpair(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { hostEnd, jailEnd, hostMac, jailMac, mark } = host.layout.jail(jail.name)
  const bridge = bridgeName(host)
  const interfaces = await readInterfaces(host.run, { signal })
  const named = (name: string) => interfaces.find((each) => each.name === name)
  const on = named(bridge)
  if (!on) throw new ProvostError('host_unfit', `There is no bridge ${bridge}; the worker makes it when it starts.`)
  const lost = gatewaysOf(host, jail.addresses).filter((gateway) => !on.addresses.some((each) => bare(each) === bare(gateway)))
  if (lost.length > 0)
    throw new ProvostError('host_unfit', `The bridge ${bridge} has lost ${lost.join(' and ')}, by which jails reach others.`, {
      hint: 'Start the worker again, which puts it there, then retry.',
    })
  if (named(hostEnd)?.up && named(jailEnd) && on.members.includes(hostEnd)) return
  await removeEpair(host, jail, interfaces, signal)

  const ifconfig = async (...args: string[]) => (await host.run('ifconfig', args, { signal })).stdout.trim()
  // The mark is there from the first moment on: the next worker recognizes the epair when this one is killed.
  const made = await ifconfig('epair', 'create', 'description', mark)
  if (!/^epair\d+a$/.test(made))
    throw new ProvostError('command_failed', `ifconfig epair create printed ${JSON.stringify(made)}.`)
  await ifconfig(made, 'name', hostEnd)
  await ifconfig(`${made.slice(0, -1)}b`, 'name', jailEnd)
  await ifconfig(hostEnd, 'ether', hostMac)
  await ifconfig(jailEnd, 'ether', jailMac)
  // Before addm, which would give the bridge's to one end only, or the first one's to the bridge (if_bridge(4)).
  for (const end of [hostEnd, jailEnd]) await ifconfig(end, 'mtu', `${on.mtu}`)
  await ifconfig(hostEnd, 'up')
  await ifconfig(bridge, 'addm', hostEnd)
}

/** Whether the host has a jail's epair, wherever its other end is. */
export function hasEpair(host: FreebsdHost, jail: JailSpec, interfaces: Interface[]): boolean {
  const { hostEnd, mark } = host.layout.jail(jail.name)
  return interfaces.some(({ name, description }) => name === hostEnd || description === mark)
}

/** Whether a running jail, which has the other end, is linked to the bridge. */
export function isOnBridge(host: FreebsdHost, jail: JailSpec, interfaces: Interface[]): boolean {
  const { hostEnd } = host.layout.jail(jail.name)
  const [end, bridge] = [hostEnd, bridgeName(host)].map((name) => interfaces.find((each) => each.name === name))
  return end?.up === true && bridge?.up === true && bridge.members.includes(hostEnd)
}

/**
 * Destroys a jail's epair(4) by the host's end of it, and so both. Returns false when there is no interface of that name: an epair that was
 * not whole may have another one (`removeEpair`).
 */
export async function destroyedHostEnd(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<boolean> {
  const { hostEnd } = host.layout.jail(jail.name)
  const { exitCode, stderr } = await host.run('ifconfig', [hostEnd, 'destroy'], { okExitCodes: [1], signal })
  if (exitCode === 0) return true
  if (/ does not exist$/m.test(stderr)) return false
  throw new ProvostError('command_failed', stderr.trim(), { command: `ifconfig ${hostEnd} destroy`, exitCode, logTail: stderr })
}

/** Destroying one end destroys both, epair(4). An end that a dying jail still has returns to the host first. */
export async function removeEpair(
  host: FreebsdHost,
  jail: JailSpec,
  interfaces: Interface[],
  signal: AbortSignal,
): Promise<void> {
  const { hostEnd, jailEnd, mark } = host.layout.jail(jail.name)
  const names = interfaces.filter(({ name, description }) => name === hostEnd || description === mark).map(({ name }) => name)
  const ends = names.length > 0 ? names : interfaces.filter(({ name }) => name === jailEnd).map(({ name }) => name)
  for (const name of ends) await host.run('ifconfig', [name, 'destroy'], { signal })
}

/**
 * Returns the commands between the jail's creation and its first process (`exec.created`, jail(8)), which move the link in and
 * give it its addresses. They are the host's own programs with `-j` (ifconfig(8), route(8), 14.0), so that nothing depends on the
 * world, and nothing of the world runs before. All words are ours but the leased addresses, which are only numbers.
 */
export function attachCommands(host: FreebsdHost, { name, addresses }: JailSpec): string[] {
  const { jailEnd } = host.layout.jail(name)
  return [
    `/sbin/ifconfig ${jailEnd} vnet ${name}`,
    `/sbin/ifconfig -j ${name} lo0 inet 127.0.0.1/8 up`,
    ...addresses.map((address) => `/sbin/ifconfig -j ${name} ${jailEnd} ${addressOf(address)} up`),
    ...gatewaysOf(host, addresses).map((gateway) => `/sbin/route ${familyFlag(gateway)} -j ${name} add default ${gateway}`),
  ]
}

const script = join(import.meta.dirname, 'attach-epair.sh')

/** Returns the command that makes the jail's epair(4) at boot, when there is no worker yet. It has only our names and numbers. */
export function epairCommand(host: FreebsdHost, { name }: JailSpec): string {
  const { hostEnd, jailEnd, hostMac, jailMac, mark } = host.layout.jail(name)
  return hostScript(script, hostEnd, jailEnd, hostMac, jailMac, bridgeName(host), mark)
}

export function bridgeName({ config }: Pick<FreebsdHost, 'config'>): string {
  // The configuration has one wherever its mode is `vnet`.
  return config.network.bridge ?? 'bridge0'
}

/** Returns one gateway for each family: that of the first address which has one. */
function gatewaysOf({ config }: FreebsdHost, addresses: string[]): string[] {
  return ([4, 6] as const).flatMap((family) => {
    const own = addresses.filter((address) => familyOf(address) === family).map((address) => parseBlock(bareAddress(address)))
    const pool = config.network.pools.find(({ cidr, gateway }) => gateway && own.some((each) => contains(parseBlock(cidr), each)))
    return pool?.gateway ? [pool.gateway] : []
  })
}

/**
 * IPv6 is off on an interface that nothing has configured (rc.conf(5), ipv6_activate_all_interfaces), and an address that is
 * still being tried cannot be bound to: ifconfig(8), no_dad and ifdisabled. Both are flags of the interface, which is the jail's own.
 */
function addressOf(address: string): string {
  return familyOf(address) === 4 ? `inet ${address}` : `inet6 ${address} no_dad -ifdisabled`
}

function familyFlag(address: string): string {
  return familyOf(address) === 4 ? '-4' : '-6'
}
