import { formatAddress, parseBlock } from '#shared/network/addresses.ts'

/** Returns an address in its one form, to be compared, without its prefix length. */
export function bare(address: string): string {
  const { family, value } = parseBlock(address)
  return formatAddress(family, value)
}

/** Returns an address in its one form, to be compared, with its prefix length. */
export function canonical(address: string): string {
  return `${bare(address)}/${parseBlock(address).prefix}`
}

/** Whether two lists have the same addresses with the same prefix lengths, in any order. */
export function sameAddresses(a: string[], b: string[]): boolean {
  const [left, right] = [a, b].map((list) => list.map(canonical).sort().join(' '))
  return left === right
}
