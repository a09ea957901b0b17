import { formatAddress, parseBlock } from '#shared/network/addresses.ts'
import type { RunCommand } from '../../run-command.ts'

/** An interface as ifconfig(8) shows it; addresses in CIDR form. */
export type Interface = {
  name: string
  up: boolean
  description?: string
  addresses: string[]
  members: string[]
  groups: string[]
}

/** The interfaces of the host, or of a jail with its own network: `ifconfig -j`, 14.0 and later. */
export async function readInterfaces(
  run: RunCommand,
  options: { jid?: number; signal?: AbortSignal } = {},
): Promise<Interface[]> {
  const { jid, signal } = options
  const args = jid === undefined ? ['-a'] : ['-j', `${jid}`, '-a']
  return parseInterfaces((await run('ifconfig', args, signal ? { signal } : {})).stdout)
}

export function parseInterfaces(text: string): Interface[] {
  const found: Interface[] = []
  for (const line of text.split('\n')) {
    const header = /^(\S+): flags=[0-9a-f]+<([^>]*)>/.exec(line)
    if (header) {
      const up = (header[2] ?? '').split(',').includes('UP')
      found.push({ name: header[1] ?? '', up, addresses: [], members: [], groups: [] })
    } else if (found.length > 0) {
      readLine(found[found.length - 1] as Interface, line.trim())
    }
  }
  return found
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

/** One form for an address, to be compared; without its prefix length. */
export function bare(address: string): string {
  const { family, value } = parseBlock(address)
  return formatAddress(family, value)
}

/** One form for an address with its prefix length, to be compared. */
export function canonical(address: string): string {
  return `${bare(address)}/${parseBlock(address).prefix}`
}

/** Whether two lists hold the same addresses with the same prefix lengths, in any order. */
export function sameAddresses(a: string[], b: string[]): boolean {
  const [left, right] = [a, b].map((list) => list.map(canonical).sort().join(' '))
  return left === right
}

function prefixOfMask(mask = '0xffffffff'): number {
  return Number.parseInt(mask, 16).toString(2).replaceAll('0', '').length
}
