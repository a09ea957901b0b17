import { z } from 'zod'
import { PlainName } from '../jail.ts'
import { bits, type Family, familyOf, formatAddress, networkOf, parseBlock, sizeOf } from './addresses.ts'

/** A pool of addresses for the jails of a host: one CIDR, its gateway, and the addresses that are never leased. */
export const Pool = z
  .object({
    name: PlainName,
    cidr: z.union([z.cidrv4(), z.cidrv6()]),
    gateway: z.union([z.ipv4(), z.ipv6()]).optional(),
    exclude: z.array(z.string()).default([]),
  })
  .superRefine(({ cidr, exclude }, context) => {
    const message = 'must be an address, a CIDR or FIRST-LAST of the family of the pool'
    for (const [i, text] of exclude.entries())
      if (!isExclusion(text, familyOf(cidr))) context.addIssue({ code: 'custom', path: ['exclude', i], message })
  })
export type Pool = z.infer<typeof Pool>

/** An address as every record has it: in CIDR form with the prefix length of its pool. */
export function inPool(pool: Pool, address: string): string {
  const block = parseBlock(address)
  return `${formatAddress(block.family, block.value)}/${parseBlock(pool.cidr).prefix}`
}

/**
 * Returns the ranges of offsets into a pool that are never leased: the network's own address, the IPv4 broadcast, the
 * gateway, and `exclude` (single addresses, CIDRs or `FIRST-LAST`).
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

/** Whether `text` is an address, a CIDR or `FIRST-LAST` of `family`. */
function isExclusion(text: string, family: Family): boolean {
  try {
    const [first, last] = text.split('-').map(parseBlock)
    if (!first || first.family !== family) return false
    return text.split('-').length === 1 || (last?.family === family && first.value <= last.value)
  } catch {
    return false
  }
}
