import type { Redis } from 'ioredis'
import type { Pool } from '#shared/host.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { Wanted } from '../../placement/choose-host.ts'
import { type FreeRange, freeRange } from '../../placement/lease-choices.ts'
import { cidrOf } from '../../placement/pool-facts.ts'
import { bare } from '../same-spec.ts'

/**
 * Counts the addresses of pools down as they would be leased. A count: an address that was asked for by name is not missed
 * in its pool.
 */
export function countAddresses({ redis, keys }: { redis: Redis; keys: RedisKeys }) {
  const free = new Map<string, number>()
  const holders = new Map<string, string | null>()

  /** How many a pool has left: those never given out, and those given back. */
  async function readPool(pool: Pool): Promise<void> {
    const cidr = cidrOf(pool)
    if (free.has(cidr)) return
    const range = freeRange(pool)
    const [[digest, cursor], returned] = await Promise.all([
      redis.hmget(keys.pool(cidr), 'digest', 'cursor'),
      redis.llen(keys.returned(cidr)),
    ])
    const isSame = digest === range.digest
    free.set(cidr, countFrom(range, isSame ? Number(cursor) : range.first) + (isSame ? returned : 0))
  }

  async function readHolder(address: string): Promise<void> {
    const text = bare(address)
    if (!holders.has(text)) holders.set(text, await redis.hget(keys.leases, text))
  }

  return {
    /** Reads what is not yet known of pools and of addresses that are asked for. */
    async read(pools: Pool[], asked: string[]): Promise<void> {
      await Promise.all([...pools.map(readPool), ...asked.map(readHolder)])
    },

    /** Takes one address of each list, or none and says which is wanting. */
    take(wanted: Wanted[]): { code: 'address_taken' | 'no_free_address'; detail: string } | undefined {
      const from: string[] = []
      const named: string[] = []
      for (const choices of wanted) {
        const [choice] = choices
        if (choice && 'address' in choice) {
          const address = bare(choice.address)
          if (holders.get(address)) return { code: 'address_taken', detail: `has leased ${address} to another jail` }
          named.push(address)
          continue
        }
        const cidrs = choices.map(({ pool }) => cidrOf(pool))
        const cidr = cidrs.find((each) => (free.get(each) ?? 0) > from.filter((taken) => taken === each).length)
        if (!cidr) return { code: 'no_free_address', detail: `has no free address in pool ${cidrs.at(-1)}` }
        from.push(cidr)
      }
      for (const cidr of from) free.set(cidr, (free.get(cidr) ?? 0) - 1)
      for (const address of named) holders.set(address, 'a row before')
      return undefined
    },
  }
}

function countFrom({ size, excluded }: FreeRange, cursor: number): number {
  let count = size - cursor
  let counted = cursor
  for (const [from, to] of excluded.toSorted(([a], [b]) => a - b)) {
    const start = Math.max(from, counted)
    const end = Math.min(to, size - 1)
    if (end < start) continue
    count -= end - start + 1
    counted = end + 1
  }
  return Math.max(0, count)
}
