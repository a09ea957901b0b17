import { ProvostError } from '#shared/errors.ts'
import { familyOf } from '#shared/network/addresses.ts'
import type { RunCommand } from '../../programs/run-command.ts'

/** An interface as ifconfig(8) shows it; addresses in CIDR form. */
export type Interface = {
  name: string
  up: boolean
  mtu: number
  description?: string
  addresses: string[]
  members: string[]
  groups: string[]
}

/**
 * Returns the interfaces of the host, or of a jail with its own network (`ifconfig -j`, 14.0 and later); with a `name` that one alone, or
 * none when it is not there.
 */
export async function readInterfaces(
  run: RunCommand,
  { jid, name, signal }: { jid?: number; name?: string; signal?: AbortSignal } = {},
): Promise<Interface[]> {
  const args = [...(jid === undefined ? [] : ['-j', `${jid}`]), name ?? '-a']
  const { exitCode, stdout, stderr } = await run('ifconfig', args, { okExitCodes: name === undefined ? [] : [1], signal })
  if (exitCode === 0) return parseInterfaces(stdout)
  if (/ does not exist$/m.test(stderr)) return []
  throw new ProvostError('command_failed', stderr.trim(), { command: `ifconfig ${args.join(' ')}`, exitCode, logTail: stderr })
}

export function parseInterfaces(text: string): Interface[] {
  const interfaces: Interface[] = []
  for (const line of text.split('\n')) {
    const header = /^(\S+): flags=[0-9a-f]+<([^>]*)>/.exec(line)
    if (header) {
      const up = (header[2] ?? '').split(',').includes('UP')
      const mtu = Number(/ mtu (\d+)/.exec(line)?.[1] ?? 1_500)
      interfaces.push({ name: header[1] ?? '', up, mtu, addresses: [], members: [], groups: [] })
    } else if (interfaces.length > 0) {
      readLine(interfaces[interfaces.length - 1] as Interface, line.trim())
    }
  }
  return interfaces
}

function readLine(current: Interface, line: string): void {
  const [word = '', value = ''] = line.split(/\s+/)
  if (word === 'inet') current.addresses.push(`${value}/${prefixOfMask(/netmask (0x[0-9a-f]+)/.exec(line)?.[1])}`)
  // A link-local address carries its scope, fe80::1%lo0 (inet6(4)).
  if (word === 'inet6') current.addresses.push(`${value.split('%')[0]}/${/prefixlen (\d+)/.exec(line)?.[1] ?? '128'}`)
  if (word === 'member:') current.members.push(value)
  if (word === 'groups:') current.groups.push(...line.split(/\s+/).slice(1))
  if (word === 'description:') current.description = line.slice('description:'.length).trim()
}

/** Returns the word of ifconfig(8) for the family of an address. */
export function inetOf(address: string): 'inet' | 'inet6' {
  return familyOf(address) === 4 ? 'inet' : 'inet6'
}

function prefixOfMask(mask = '0xffffffff'): number {
  return Number.parseInt(mask, 16).toString(2).replaceAll('0', '').length
}
