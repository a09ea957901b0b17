import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalCidr, overlaps, parseBlock } from '#shared/network/addresses.ts'
import type { Pool } from '#shared/network/pool.ts'
import { poolConflicts } from '../../../../producer/hosts/pools/pool-conflicts.ts'

type Owned = { id: string; pools: Pool[] }
const owning = (id: string, ...pools: [name: string, cidr: string][]): Owned => ({
  id,
  pools: pools.map(([name, cidr]) => ({ name, cidr, exclude: [] })),
})

describe('pools of two hosts', () => {
  const second = (name: string, cidr: string) => poolConflicts([owning('a', ['main', '10.0.0.0/24']), owning('b', [name, cidr])])

  test('may be the same, or apart, but not overlap', () => {
    expect([...second('main', '10.0.0.9/24'), ...second('main', '10.0.1.0/24')]).toEqual([])
    expect([...second('other', '10.0.0.0/24')]).toEqual([['b', 'pool 10.0.0.0/24 overlaps pool 10.0.0.0/24 of host a']])
    expect([...second('main', '10.0.0.0/16')]).toEqual([['b', 'pool 10.0.0.0/16 overlaps pool 10.0.0.0/24 of host a']])
    expect([...second('main', '10.0.0.128/25')]).toEqual([['b', 'pool 10.0.0.128/25 overlaps pool 10.0.0.0/24 of host a']])
  })

  test('are judged as a comparison of each host with all before it would', () => {
    const cidr = fc.tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 21, max: 24 })).map(([n, p]) => `10.0.${n}.0/${p}`)
    const pool = fc.tuple(fc.constantFrom('main', 'other'), fc.oneof(cidr, fc.constantFrom('fd00::/64', 'fd00::/56')))
    const fleets = fc.array(fc.array(pool, { minLength: 1, maxLength: 3 }), { maxLength: 8 })
    fc.assert(
      fc.property(fleets, (fleet) => {
        const hosts = fleet.map((pools, i) => owning(`h${i}`, ...pools))
        const blamed = [...poolConflicts(hosts)].map(
          ([id, text]) => `${id}: ${text.replace(/overlaps .* of/, 'overlaps that of')}`,
        )
        expect(blamed).toEqual(blamedByPairs(hosts))
      }),
      { numRuns: 500 },
    )
  })
})

function blamedByPairs(hosts: Owned[]): string[] {
  return hosts.flatMap(({ id, pools }, i) => {
    const faults = pools.flatMap((pool) =>
      hosts
        .slice(0, i)
        .filter((other) => other.pools.some((known) => areAtOdds(pool, known)))
        .map((other) => `${id}: pool ${pool.cidr} overlaps that of host ${other.id}`),
    )
    return faults.slice(0, 1)
  })
}

function areAtOdds(a: Pool, b: Pool): boolean {
  if (a.name === b.name && canonicalCidr(a.cidr) === canonicalCidr(b.cidr)) return false
  return overlaps(parseBlock(a.cidr), parseBlock(b.cidr))
}
