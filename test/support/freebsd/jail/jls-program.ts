import { age, failed, findJail, type Kernel, type KernelJail, notKnown, type Program } from '../kernel.ts'
import { libxo } from '../libxo.ts'
import { allowances } from './allowances.ts'
import { lastOf } from './parse-jail-conf.ts'

type Shown = Record<string, string | string[]>

const allowedByDefault = ['set_hostname', 'reserved_ports', 'unprivileged_proc_debug', 'suser']

/** jls(8) with a list of parameters, in libxo's JSON (every scalar a string) or one value as text. */
export function jlsProgram(kernel: Kernel, amended: () => Shown): Program {
  return (args) => {
    const rest = [...args]
    const take = (flag: string) => {
      if (rest[0] !== flag) return undefined
      rest.shift()
      return flag
    }
    const dying = take('-d') !== undefined
    const json = take('--libxo') !== undefined
    if (json && rest.shift() !== 'json') return notKnown('a libxo style but json')
    const which = take('-j') ? rest.shift() : undefined
    if (which === '') return failed('jls: jail "" not found')
    if (rest.some((word) => word.startsWith('-')) || rest.length === 0) return notKnown(`jls ${args.join(' ')}`)

    const chosen = choose(kernel, which, dying)
    // The document is whole even where the jail is not there.
    if (typeof chosen === 'string') return failed(`jls: ${chosen}`, json ? document([]) : '')
    const records = chosen.map((jail) => pick({ ...parametersOf(jail), ...amended() }, rest))
    const unknown = records.flatMap((record) => Object.keys(record).filter((key) => record[key] === undefined))[0]
    if (unknown) return failed(`jls: unknown parameter: ${unknown}`, json ? '{ }' : '')
    if (json) return { stdout: document(records as Shown[]) }
    return { stdout: records.map((record) => `${Object.values(record).join(' ')}\n`).join('') }
  }
}

function choose(kernel: Kernel, which: string | undefined, withDying: boolean): KernelJail[] | string {
  const isShown = (jail: KernelJail) => withDying || jail.dyingFor === undefined
  if (which === undefined) {
    const all = [...kernel.jails.values()]
    const shown = all.filter(isShown)
    for (const jail of all) if (withDying) age(kernel, jail)
    return shown
  }
  const jail = findJail(kernel, which)
  const quoted = /^\d+$/.test(which) ? `jail ${which}` : `jail "${which}"`
  if (!jail) return `${quoted} not found`
  if (!isShown(jail)) return `${quoted} is dying`
  age(kernel, jail)
  return [jail]
}

function pick(all: Shown, wanted: string[]): Record<string, string | string[] | undefined> {
  if (wanted.length === 1 && wanted[0] === 'all') return all
  return Object.fromEntries(wanted.map((key) => [key, all[key]]))
}

function document(jails: Shown[]): string {
  return `${libxo({ __version: '2', 'jail-information': { jail: jails } })}\n`
}

/** What the kernel has of each parameter, with its defaults (jail(8)). */
function parametersOf({ jid, name, path, parameters, vnet, dyingFor }: KernelJail): Shown {
  const value = (key: string, otherwise: string) => lastOf(parameters, key) ?? otherwise
  const addresses = (key: string) =>
    (parameters.get(key) ?? []).map((text) => (text.split('|').at(-1) ?? '').split(/[/ ]/)[0] ?? '')
  // `disable` also with addresses: seen on 15.1, but not what it is with vnet.
  const family = (key: 'ip4' | 'ip6') => (vnet ? 'inherit' : value(key, 'disable'))
  const allow = allowances.map((key) => {
    const on = parameters.has(`allow.${key}`)
    const off = parameters.has(`allow.${key.replace(/[^.]+$/, 'no$&')}`)
    return [`allow.${key}`, `${on || (!off && allowedByDefault.includes(key))}`]
  })
  return {
    devfs_ruleset: value('devfs_ruleset', '0'),
    dying: `${dyingFor !== undefined}`,
    enforce_statfs: value('enforce_statfs', '2'),
    env: '',
    host: parameters.has('host.hostname') ? 'new' : 'inherit',
    ip4: family('ip4'),
    ip6: family('ip6'),
    jid: `${jid}`,
    linux: 'new',
    meta: '',
    name,
    osreldate: '1501000',
    osrelease: '15.1-RELEASE-p1',
    parent: '0',
    path,
    persist: `${parameters.has('persist')}`,
    securelevel: value('securelevel', '-1'),
    sysvmsg: 'disable',
    sysvsem: 'disable',
    sysvshm: 'disable',
    vnet: vnet ? 'new' : 'inherit',
    zfs: 'new',
    ...Object.fromEntries(allow),
    'children.cur': '0',
    'children.max': value('children.max', '0'),
    'cpuset.id': `${jid}`,
    'host.domainname': '',
    'host.hostid': '0',
    'host.hostname': value('host.hostname', ''),
    'host.hostuuid': '00000000-0000-0000-0000-000000000000',
    'ip4.addr': addresses('ip4.addr'),
    'ip4.saddrsel': 'true',
    'ip6.addr': addresses('ip6.addr'),
    'ip6.saddrsel': 'true',
    'linux.osname': 'Linux',
    'linux.osrelease': '5.15.0',
    'linux.oss_version': '198144',
    'zfs.mount_snapshot': '0',
  }
}
