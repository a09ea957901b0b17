import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Finding } from '../../jails/proofs.ts'
import { readValue } from '../limits/cgroups.ts'
import { readMounts } from '../root/mounts.ts'
import { deviceNumber } from './device-number.ts'
import type { Subject } from './subject.ts'

/** Device nodes of a jail: character devices by MAJOR:MINOR. */
const allowed: Record<string, string> = {
  null: '1:3',
  zero: '1:5',
  full: '1:7',
  random: '1:8',
  urandom: '1:9',
  tty: '5:0',
}

/** It has only harmless devices: by the nodes in /dev, by nodev on all else, and by what its cgroup would let it open. */
export function proveDevices({ host, jail, first }: Subject): Finding {
  const nodes = nodesIn(`/proc/${first}/root/dev`)
  const strange = nodes.filter(({ path, device }) => allowed[path] !== device).map(({ path, device }) => `${path} (${device})`)
  const faults = strange.length > 0 ? [`has the devices ${strange.join(', ')}`] : []

  const open = readMounts(first)
    .filter(({ point, options }) => !mayHaveDevices(point) && !options.includes('nodev'))
    .map(({ point }) => point)
  if (open.length > 0) faults.push(`could use a device node on ${open.join(', ')}`)
  const wide = rulesOf(host, jail.name).filter((rule) => !isHarmless(rule))
  if (wide.length > 0) faults.push(`its cgroup lets it open ${wide.join(', ')}`)
  const names = nodes.map(({ path }) => path).sort()
  return { faults, fine: `has ${names.join(', ')} and no other device` }
}

type Node = { path: string; device: string }

/** Returns all device nodes below a directory but those of terminals. Follows no link that the jail put there. */
function nodesIn(directory: string, below = ''): Node[] {
  return readdirSync(join(directory, below)).flatMap((name): Node[] => {
    const path = join(below, name)
    const entry = lstatSync(join(directory, path), { throwIfNoEntry: false })
    if (entry?.isDirectory() && path !== 'pts') return nodesIn(directory, path)
    if (entry?.isCharacterDevice()) return [{ path, device: deviceNumber(entry.rdev) }]
    return entry?.isBlockDevice() ? [{ path, device: `block ${deviceNumber(entry.rdev)}` }] : []
  })
}

/** runc masks files below /proc with its /dev/null. */
function mayHaveDevices(point: string): boolean {
  return point === '/dev' || point === '/dev/pts' || point.startsWith('/proc/')
}

/** Returns the rules of the v1 devices controller; none on v2, where they are a program in the kernel that cannot be read. */
function rulesOf({ cgroups, layout }: Subject['host'], name: string): string[] {
  const directory = cgroups.version === 1 ? cgroups.directory('devices', layout.jail(name).cgroup) : undefined
  if (directory === undefined) return []
  return readValue(join(directory, 'devices.list'))?.split('\n').filter(Boolean) ?? ['anything: it has no devices cgroup']
}

/**
 * `m` alone is mknod, which needs a capability that jails lack. runc allows these in every jail: 5:1, 5:2 and 136 to 143 are
 * consoles and terminals; 10:200 makes network links, has no node in a jail and needs a capability that jails lack.
 */
function isHarmless(rule: string): boolean {
  const [type, device = '', access] = rule.split(' ')
  if (type === 'a') return false
  if (access === 'm') return true
  const isRuncs = /^(5:[12]|(13[6-9]|14[0-3]):\*|10:200)$/.test(device)
  return type === 'c' && (Object.values(allowed).includes(device) || isRuncs)
}
