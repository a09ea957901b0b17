import ipaddr from 'ipaddr.js'
import type { Pool } from './host.ts'

export type Family = 4 | 6

/** A CIDR as numbers: the address as one integer, its length in bits, and the prefix length. */
export type Block = { family: Family; value: bigint; prefix: number }

/** @throws Error when `text` is no IPv4 or IPv6 address, with or without a prefix length. */
export function parseBlock(text: string): Block {
  const [address = '', prefix] = text.split('/')
  const parsed = ipaddr.parse(address)
  const family = parsed.kind() === 'ipv4' ? 4 : 6
  const value = parsed.toByteArray().reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  return { family, value, prefix: prefix === undefined ? bits(family) : Number(prefix) }
}

/** The text of an address, without a prefix length (RFC 5952 for IPv6). */
export function formatAddress(family: Family, value: bigint): string {
  const length = bits(family) / 8
  const bytes = Array.from({ length }, (_, i) => Number((value >> BigInt(8 * (length - 1 - i))) & 0xffn))
  return ipaddr.fromByteArray(bytes).toString()
}

export function networkOf(block: Block): bigint {
  return (block.value >> hostBits(block)) << hostBits(block)
}

/** How many addresses a block spans. */
export function sizeOf(block: Block): bigint {
  return 1n << hostBits(block)
}

export function contains(block: Block, address: Block): boolean {
  return block.family === address.family && networkOf(block) === networkOf({ ...address, prefix: block.prefix })
}

export function overlaps(a: Block, b: Block): boolean {
  return a.prefix <= b.prefix ? contains(a, b) : contains(b, a)
}

/** A pool's CIDR in its one canonical form: two pools are the same when this and the name are. */
export function canonicalCidr(cidr: string): string {
  const block = parseBlock(cidr)
  return `${formatAddress(block.family, networkOf(block))}/${block.prefix}`
}

/** A leased address as it is written everywhere: CIDR form with the pool's prefix. */
export function inPool(pool: Pool, address: string): string {
  const block = parseBlock(address)
  return `${formatAddress(block.family, block.value)}/${parseBlock(pool.cidr).prefix}`
}

/** The address of a CIDR string, without its prefix. */
export function bareAddress(cidr: string): string {
  return cidr.split('/')[0] ?? cidr
}

export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4
}

/**
 * Ranges of offsets into a pool that are never given out: the network's own address, the IPv4 broadcast, the gateway and
 * what `exclude` names (single addresses, CIDRs, or `FIRST-LAST`).
 */
export function excludedOffsets(pool: Pool): [bigint, bigint][] {
  const block = parseBlock(pool.cidr)
  const network = networkOf(block)
  const last = sizeOf(block) - 1n
  const ranges: [bigint, bigint][] = []
  // RFC 3021: a /31 has neither network nor broadcast address; a /32 is one host.
  if (block.prefix < bits(block.family) - 1) ranges.push([0n, 0n])
  if (block.family === 4 && block.prefix < 31) ranges.push([last, last])
  for (const text of [...(pool.gateway ? [pool.gateway] : []), ...pool.exclude]) {
    const [first = '', end] = text.split('-')
    const from = parseBlock(first)
    const start = first.includes('/') ? networkOf(from) : from.value
    const stop = end ? parseBlock(end).value : first.includes('/') ? start + sizeOf(from) - 1n : start
    ranges.push([start - network, stop - network])
  }
  return ranges
}

/** Whether `text` is an address, a CIDR, or `FIRST-LAST`, of one family. */
export function isExclusion(text: string, family: Family): boolean {
  try {
    const [first, last] = text.split('-').map(parseBlock)
    if (!first || first.family !== family) return false
    return text.split('-').length === 1 || (last?.family === family && first.value <= last.value)
  } catch {
    return false
  }
}

function bits(family: Family): number {
  return family === 4 ? 32 : 128
}

function hostBits(block: Block): bigint {
  return BigInt(bits(block.family) - block.prefix)
}
