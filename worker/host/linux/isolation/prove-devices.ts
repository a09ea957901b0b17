import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Finding, some } from '../../jails/proofs.ts'
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

/** Where nodes of the host are mounted in a jail: who has a user namespace of his own can make none. */
const deviceNodes = Object.keys(allowed).map((name) => `/dev/${name}`)

/** It has only harmless devices: by the nodes in /dev, by nodev on all else, and by what its cgroup would let it open. */
export async function proveDevices({ host, jail, first, signal }: Subject): Promise<Finding> {
  const nodes: Node[] = []
  const looked = await collectNodes(`/proc/${first}/root/dev`, nodes, signal)
  const strange = nodes.filter(({ path, device }) => allowed[path] !== device).map(({ path, device }) => `${path} (${device})`)
  const faults = looked > mostEntries ? [`has more than ${mostEntries} entries in /dev, which nobody can look through`] : []
  if (strange.length > 0) faults.push(`has the devices ${some(strange)}`)

  const open = readMounts(first)
    .filter(({ point, options }) => !mayHaveDevices(point) && !options.includes('nodev'))
    .map(({ point }) => point)
  if (open.length > 0) faults.push(`could use a device node on ${some(open)}`)
  const wide = rulesOf(host, jail.name).filter((rule) => !isHarmless(rule))
  if (wide.length > 0) faults.push(`its cgroup lets it open ${some(wide)}`)
  const names = nodes.map(({ path }) => path).sort()
  return { faults, fine: `has ${names.join(', ')} and no other device` }
}

type Node = { path: string; device: string }

/** More than a /dev has, which runc fills; the tmpfs is held to fewer inodes, unless somebody mounts another. */
const mostEntries = 2_048
const mostDeep = 16

/**
 * Adds the device nodes below a directory, but those of terminals, to a list. Follows no link that the jail put there, and looks at no more
 * entries than there should be, piece by piece: a jail's root may make as many as it can. Returns at how many it has looked.
 */
async function collectNodes(
  directory: string,
  nodes: Node[],
  signal: AbortSignal,
  below = '',
  looked = 0,
  deep = 0,
): Promise<number> {
  for await (const entry of await opendir(join(directory, below))) {
    signal.throwIfAborted()
    looked += 1
    if (looked > mostEntries || deep > mostDeep) return mostEntries + 1
    const path = join(below, entry.name)
    if (entry.isDirectory() && path !== 'pts') looked = await collectNodes(directory, nodes, signal, path, looked, deep + 1)
    if (entry.isDirectory() || entry.isSymbolicLink()) continue
    // A directory does not tell what is mounted on a file in it: a node of the host, as a jail can have no other.
    const node = await lstat(join(directory, path))
    if (!node.isCharacterDevice() && !node.isBlockDevice()) continue
    nodes.push({ path, device: `${node.isBlockDevice() ? 'block ' : ''}${deviceNumber(node.rdev)}` })
  }
  return looked
}

/** runc masks files below /proc with its /dev/null. */
function mayHaveDevices(point: string): boolean {
  return point === '/dev' || point === '/dev/pts' || deviceNodes.includes(point) || point.startsWith('/proc/')
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
