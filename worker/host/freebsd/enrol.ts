import { mkdir } from 'node:fs/promises'
import { ProvostError } from '#shared/errors.ts'
import { familyOf } from '#shared/network/addresses.ts'
import { inPool } from '#shared/network/pool.ts'
import { bare } from '../addresses.ts'
import type { FreebsdHost } from './freebsd-host.ts'
import { ensureBootService } from './jail/boot-service.ts'
import { inetOf, readInterfaces } from './network/interfaces.ts'
import { bridgeName } from './network/vnet.ts'

/** Arranges what a host needs once, so that jails can be made and come back at boot. May be repeated. */
export async function enrol(host: FreebsdHost): Promise<void> {
  const { dataset, roots, worlds, jails, boot } = host.layout
  for (const name of dataset ? ['worlds', 'roots'] : []) await host.run('zfs', ['create', '-p', `${dataset}/${name}`])
  // Only root may go in there: no user may reach a setuid file of a jail.
  await Promise.all([roots, worlds, jails, boot].map((path) => mkdir(path, { recursive: true, mode: 0o700 })))
  if (host.atBoot) await ensureBootService(host)
  if (host.config.network.mode === 'vnet') await ensureBridge(host)
}

/**
 * Makes the bridge with the gateways' addresses, now and at boot (rc.conf(5), cloned_interfaces). A bridge that is there is used
 * as it is, except the gateways. The host's own network is never put on it here: that could cut the operators off.
 */
async function ensureBridge(host: FreebsdHost): Promise<void> {
  const bridge = bridgeName(host)
  const gateways = host.config.network.pools.flatMap((pool) => (pool.gateway ? [inPool(pool, pool.gateway)] : []))
  const existing = (await readInterfaces(host.run)).find(({ name }) => name === bridge)
  if (!existing) await makeBridge(host, bridge, gateways)
  const missing = gateways.filter((gateway) => !existing?.addresses.some((address) => bare(address) === bare(gateway)))
  for (const gateway of missing) {
    // IPv6 is off on an interface until it is enabled, whatever addresses it has: inet6(4).
    const enabled = familyOf(gateway) === 6 ? ['-ifdisabled'] : []
    await host.run('ifconfig', [bridge, inetOf(gateway), gateway, 'alias', ...enabled])
  }
  if (!existing?.up) await host.run('ifconfig', [bridge, 'up'])
}

async function makeBridge(host: FreebsdHost, bridge: string, gateways: string[]): Promise<void> {
  const isNumbered = /^bridge\d+$/.test(bridge)
  const made = (await host.run('ifconfig', [isNumbered ? bridge : 'bridge', 'create'])).stdout.trim() || bridge
  if (!/^bridge\d+$/.test(made)) throw new ProvostError('command_failed', `ifconfig bridge create printed ${made}.`)
  if (made !== bridge) await host.run('ifconfig', [made, 'name', bridge])
  if (host.atBoot) await keepAtBoot(host, bridge, made, gateways)
}

async function keepAtBoot(host: FreebsdHost, bridge: string, made: string, gateways: string[]): Promise<void> {
  const [first, ...four] = gateways.filter((gateway) => familyOf(gateway) === 4)
  const [firstSix, ...six] = gateways.filter((gateway) => familyOf(gateway) === 6)
  const settings = [
    `cloned_interfaces+=${made}`,
    ...(made === bridge ? [] : [`ifconfig_${made}_name=${bridge}`]),
    `ifconfig_${bridge}=${first ? `inet ${first} ` : ''}up`,
    // Without this variable, rc(8) leaves IPv6 off and skips the aliases of that family.
    ...(firstSix ? [`ifconfig_${bridge}_ipv6=inet6 ${firstSix}`] : []),
    ...[...four, ...six].map((gateway, i) => `ifconfig_${bridge}_alias${i}=${inetOf(gateway)} ${gateway}`),
  ]
  for (const setting of settings) await host.run('sysrc', [setting])
}
