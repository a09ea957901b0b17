import { createHash } from 'node:crypto'
import { canonicalCidr, excludedOffsets, formatAddress, networkOf, parseBlock, sizeOf } from '#shared/addresses.ts'
import { ProvostError } from '#shared/errors.ts'
import type { Pool } from '#shared/host.ts'
import type { RedisKeys } from '#shared/keys.ts'
import type { Wanted } from './choose-host.ts'

// Lua counts in doubles; and nobody leases more of one IPv6 pool than its last 32 bits.
const largestPool = 2n ** 32n

/**
 * One wanted address as the admission script reads it: each pool that may give it, with what is never given out.
 * @throws ProvostError `address_not_in_pool` for an asked one that the pool never gives out.
 */
export function leaseChoices(wanted: Wanted, keys: RedisKeys): object[] {
  return wanted.map((choice) => {
    const { pool } = choice
    const cidr = canonicalCidr(pool.cidr)
    const block = parseBlock(cidr)
    const common = { cidr, pool: keys.pool(cidr), returned: keys.returned(cidr), prefix: block.prefix }
    if (!('address' in choice)) return { ...common, ...freeRange(pool) }

    const value = parseBlock(choice.address).value
    const offset = value - networkOf(block)
    if (excludedOffsets(pool).some(([from, to]) => offset >= from && offset <= to))
      throw new ProvostError(
        'address_not_in_pool',
        `${choice.address} is never given out by pool ${pool.name}: it is its gateway, excluded, or the network's own.`,
      )
    return { ...common, address: formatAddress(block.family, value) }
  })
}

function freeRange(pool: Pool): object {
  const block = parseBlock(pool.cidr)
  const network = networkOf(block)
  const size = sizeOf(block) > largestPool ? largestPool : sizeOf(block)
  const excluded = excludedOffsets(pool)
    .filter(([from]) => from < size)
    .map(([from, to]) => [Number(from), Number(to)])
  const range = { first: 0, size: Number(size), excluded, digest: digestOf(pool) }
  if (block.family === 4) return { ...range, base: Number(network) }
  return { ...range, heads: [headOf(network, 1n), headOf(network, 0x10001n)] }
}

/** The text of an IPv6 address without its last group, or its last two when both are in the sample. */
function headOf(network: bigint, sample: bigint): string {
  const text = formatAddress(6, network + sample)
  return text.slice(0, text.length - (sample === 1n ? 1 : 3))
}

function digestOf({ cidr, gateway, exclude }: Pool): string {
  return createHash('sha256')
    .update(JSON.stringify([canonicalCidr(cidr), gateway, exclude]))
    .digest('hex')
}
