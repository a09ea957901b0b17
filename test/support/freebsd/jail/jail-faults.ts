import { isIPv4, isIPv6 } from 'node:net'
import { allowances } from './allowances.ts'
import { type ConfJail, lastOf } from './parse-jail-conf.ts'

const ownBooleans = ['exec.clean', 'mount.devfs']
const numbers = ['exec.timeout', 'stop.timeout', 'securelevel', 'enforce_statfs', 'devfs_ruleset', 'children.max']
const jailsys = ['host', 'ip4', 'ip6', 'vnet', 'sysvmsg', 'sysvsem', 'sysvshm']
const others = [
  'name',
  'path',
  'host.hostname',
  'ip4.addr',
  'ip6.addr',
  'exec.consolelog',
  'exec.start',
  'exec.stop',
  'exec.created',
]
const alsoKnown = [
  'exec.prepare',
  'exec.prestart',
  'exec.poststart',
  'exec.prestop',
  'exec.poststop',
  'exec.release',
  'vnet.interface',
]
// The `no` stands before the last part of a name.
const allowed = new Set(allowances.flatMap((name) => [`allow.${name}`, `allow.${name.replace(/[^.]+$/, 'no$&')}`]))

const families: Record<string, (text: string) => boolean> = { 'ip4.addr': isIPv4, 'ip6.addr': isIPv6 }
const bareAddress = (text: string) => (text.split('|').at(-1) ?? '').split(/[/ ]/)[0] ?? ''
// config.c: a number is one too, and `yes` is not.
const isBoolean = (text: string) => /^(true|false|\d+)$/i.test(text)

/** jail(8)'s own parameters are looked at first, and are all that is looked at for a removal (config.c). */
export function faultOfOwn({ name, parameters }: ConfJail): string | undefined {
  for (const [key, values] of parameters) {
    const value = values.at(-1) ?? ''
    if (ownBooleans.includes(key) && values.length > 0 && !isBoolean(value))
      return `jail: ${name}: ${key}: unknown boolean value "${value}"`
    if (key.endsWith('.timeout') && !/^\d+$/.test(value)) return `jail: ${name}: ${key}: non-integer value "${value}"`
  }
  return undefined
}

/** Those that the kernel has, and what libjail makes of their values. */
export function faultIn(jail: ConfJail): string | undefined {
  const own = faultOfOwn(jail)
  if (own) return own
  for (const [key, values] of jail.parameters) {
    const value = values.at(-1) ?? ''
    const isKnown = ['persist', ...ownBooleans, ...numbers, ...jailsys, ...others, ...alsoKnown].includes(key) || allowed.has(key)
    if (!isKnown) return `jail: ${jail.name}: unknown parameter: ${key}`
    if ((key === 'persist' || key.startsWith('allow.')) && values.length > 0 && !isBoolean(value))
      return `jail: ${jail.name}: ${key}: unknown boolean value "${value}"`
    const wrong = values.map(bareAddress).find((each) => families[key]?.(each) === false)
    if (wrong !== undefined) return `jail: ${jail.name}: ${key}: not an IPv${key[2]} address: ${wrong}`
    if (numbers.includes(key) && !/^-?\d+$/.test(value)) return `jail: ${jail.name}: ${key}: non-integer value "${value}"`
    if (jailsys.includes(key) && values.length > 0 && !/^(disable|new|inherit)$/.test(value))
      return `jail: ${jail.name}: ${key}: unknown jailsys value "${value}"`
  }
  const path = lastOf(jail.parameters, 'path') ?? '/'
  if (!path.startsWith('/')) return `jail: ${jail.name}: path ${path}: not an absolute pathname`
  if (!['persist', 'exec.start', 'command', 'exec.poststart'].some((key) => jail.parameters.has(key)))
    return `jail: ${jail.name}: new jail must persist or attach`
  return undefined
}
