import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import type { JailSpec } from '#shared/job.ts'
import { familyOf } from '#shared/network/addresses.ts'
import { bare } from '../../addresses.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import { attachCommands, epairCommand } from '../network/vnet.ts'
import { hostScript } from './host-script.ts'
import type { Parameter } from './jail-conf.ts'

export const rcCommand = '/bin/sh /etc/rc'
const shutdownCommand = '/bin/sh /etc/rc.shutdown jail'

/** Seconds for each command of jail(8), also at boot; without it jail(8) waits for ever (exec.timeout). */
const execTimeout = 570
/** Seconds from SIGTERM to the end of a jail's processes, jail(8). */
const stopTimeout = 5

/** The ruleset of devfs.rules(5), which decides what a jail sees in /dev; 5 shows pf, too, for a network stack of its own. */
export const devfsRuleset = { shared: '4', vnet: '5' }

/** Restrictions on every jail: jail(8), and security(7) for securelevel. */
export const hardening = { enforce_statfs: '2', securelevel: '2', 'children.max': '0' }

/**
 * Returns all parameters of a jail for jail(8), in the order of the file. Nothing from a client is in any `exec.*`, which is
 * shell text: the worker starts the client's command.
 */
export function jailParameters(host: FreebsdHost, jail: JailSpec): Record<string, Parameter> {
  const { root, console: log } = host.layout.jail(jail.name)
  const { mode } = host.config.network
  return {
    path: root,
    'host.hostname': jail.hostname,
    // The operators choose the name, as they do the addresses.
    'allow.noset_hostname': true,
    persist: true,
    'exec.clean': true,
    'exec.timeout': `${execTimeout}`,
    'stop.timeout': `${stopTimeout}`,
    // Not below the root, where the jail could replace it by a link.
    'exec.consolelog': log,
    'mount.devfs': true,
    devfs_ruleset: devfsRuleset[mode],
    ...hardening,
    ...(mode === 'vnet' ? vnetParameters(host, jail) : sharedParameters(host, jail)),
    ...commands(root, jail),
  }
}

/**
 * jail(8) puts each address on its interface before it creates the jail, and removes it with the jail. The addresses are a list:
 * of two in one string jail(8) would use the first. A family without an address is disabled.
 */
function sharedParameters({ config }: FreebsdHost, { addresses }: JailSpec): Record<string, Parameter> {
  const of = (family: 4 | 6): Record<string, Parameter> => {
    const own = addresses.filter((address) => familyOf(address) === family)
    if (own.length === 0) return { [`ip${family}`]: 'disable' }
    return { [`ip${family}.addr`]: own.map((address) => `${config.network.interface}|${address}`) }
  }
  const six = addresses.filter((address) => familyOf(address) === 6).map(bare)
  const awaited = six.length === 0 ? {} : { 'exec.created': hostScript(script, config.network.interface ?? '', ...six) }
  return { ...of(4), ...of(6), ...awaited }
}

const script = join(import.meta.dirname, '../network/await-addresses.sh')

/** No address is allowed here: "vnet jails cannot have IP address restrictions" is the kernel's answer, jail_set(2). */
function vnetParameters(host: FreebsdHost, jail: JailSpec): Record<string, Parameter> {
  return { vnet: true, 'exec.prestart': epairCommand(host, jail), 'exec.created': attachCommands(host, jail) }
}

function commands(root: string, jail: JailSpec): Record<string, Parameter> {
  if (jail.command) return {}
  return {
    ...(hasScript(root, 'rc') ? { 'exec.start': rcCommand } : {}),
    ...(hasScript(root, 'rc.shutdown') ? { 'exec.stop': shutdownCommand } : {}),
  }
}

/** Looks from outside and follows no link of the jail: `etc` itself must be a directory. */
function hasScript(root: string, name: 'rc' | 'rc.shutdown'): boolean {
  const look = (path: string) => lstatSync(path, { throwIfNoEntry: false })
  return look(join(root, 'etc'))?.isDirectory() === true && look(join(root, 'etc', name)) !== undefined
}
