import ipaddr from 'ipaddr.js'

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

/** The address of a CIDR string, without its prefix. */
export function bareAddress(cidr: string): string {
  return cidr.split('/')[0] ?? cidr
}

export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4
}

/** How many bits an address of a family has. */
export function bits(family: Family): number {
  return family === 4 ? 32 : 128
}

function hostBits(block: Block): bigint {
  return BigInt(bits(block.family) - block.prefix)
}
