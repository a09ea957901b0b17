import ipaddr from 'ipaddr.js'

export type Family = 4 | 6

/** A CIDR as numbers: the family, the address as one integer, and the prefix length. */
export type Block = { family: Family; value: bigint; prefix: number }

/** Parses an IPv4 or IPv6 address, with or without a prefix length. @throws Error when `text` is none */
export function parseBlock(text: string): Block {
  const [address = '', prefix] = text.split('/')
  const parsed = ipaddr.parse(address)
  const family = parsed.kind() === 'ipv4' ? 4 : 6
  const value = parsed.toByteArray().reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  return { family, value, prefix: prefix === undefined ? bits(family) : Number(prefix) }
}

/** Formats an address without a prefix length (IPv6 by RFC 5952). */
export function formatAddress(family: Family, value: bigint): string {
  const length = bits(family) / 8
  const bytes = Array.from({ length }, (_, i) => Number((value >> BigInt(8 * (length - 1 - i))) & 0xffn))
  return ipaddr.fromByteArray(bytes).toString()
}

export function networkOf(block: Block): bigint {
  return (block.value >> hostBits(block)) << hostBits(block)
}

/** The number of addresses in a block. */
export function sizeOf(block: Block): bigint {
  return 1n << hostBits(block)
}

export function contains(block: Block, address: Block): boolean {
  return block.family === address.family && networkOf(block) === networkOf({ ...address, prefix: block.prefix })
}

export function overlaps(a: Block, b: Block): boolean {
  return a.prefix <= b.prefix ? contains(a, b) : contains(b, a)
}

/** The canonical form of a pool's CIDR: two pools are the same when it and their names are equal. */
export function canonicalCidr(cidr: string): string {
  const block = parseBlock(cidr)
  return `${formatAddress(block.family, networkOf(block))}/${block.prefix}`
}

/** The address of a CIDR string, without its prefix. */
export function bareAddress(cidr: string): string {
  return cidr.split('/')[0] ?? cidr
}

export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4
}

/** The length of an address in bits. */
export function bits(family: Family): number {
  return family === 4 ? 32 : 128
}

function hostBits(block: Block): bigint {
  return BigInt(bits(block.family) - block.prefix)
}
