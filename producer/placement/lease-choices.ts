import { createHash } from 'node:crypto'
import { formatAddress, networkOf, parseBlock, sizeOf } from '#shared/network/addresses.ts'
import type { Pool } from '#shared/network/pool.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { Wanted } from './choose-host.ts'
import { memoize } from './memoize.ts'
import { blockOf, cidrOf, excludedOf } from './pool-facts.ts'

// Lua counts in doubles, and the last 32 bits of an IPv6 pool are enough.
const largestPool = 2n ** 32n

/** Returns the choices for one address in the form that the scripts read: the pools, with what is never given out of them. */
export function leaseChoices(wanted: Wanted, keys: RedisKeys) {
  return wanted.map((choice) => {
    const { pool } = choice
    const cidr = cidrOf(pool)
    const block = blockOf(pool)
    const common = { cidr, pool: keys.pool(cidr), returned: keys.returned(cidr), prefix: block.prefix }
    if (!('address' in choice)) return { ...common, ...freeRange(pool) }
    return { ...common, address: formatAddress(block.family, parseBlock(choice.address).value) }
  })
}

/** What may be given out of a pool, as offsets into it; `digest`: of its definition. */
type FreeRange = { first: number; size: number; excluded: [from: number, to: number][]; digest: string } & (
  | { base: number }
  | { heads: string[] }
)

const freeRange = memoize((pool: Pool): FreeRange => {
  const block = blockOf(pool)
  const network = networkOf(block)
  const size = sizeOf(block) > largestPool ? largestPool : sizeOf(block)
  const excluded = excludedOf(pool)
    .filter(([from]) => from < size)
    .map(([from, to]): [number, number] => [Number(from), Number(to)])
  const range = { first: 0, size: Number(size), excluded, digest: digestOf(pool) }
  if (block.family === 4) return { ...range, base: Number(network) }
  return { ...range, heads: [headOf(network, 1n), headOf(network, 0x10001n)] }
})

/** Returns the text of an IPv6 address without its last group, or without the last two if the sample has both. */
function headOf(network: bigint, sample: bigint): string {
  const text = formatAddress(6, network + sample)
  return text.slice(0, text.length - (sample === 1n ? 1 : 3))
}

function digestOf(pool: Pool): string {
  return createHash('sha256')
    .update(JSON.stringify([cidrOf(pool), [...new Set([...pool.exclude, pool.gateway])].sort()]))
    .digest('hex')
}
