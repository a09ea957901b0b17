import { describe, expect, test } from 'vitest'
import { canonicalCidr, contains, overlaps, parseBlock } from '#shared/network/addresses.ts'
import { excludedOffsets, inPool } from '#shared/network/pool.ts'

describe('addresses', () => {
  test('have one canonical form', () => {
    expect(canonicalCidr('10.1.2.3/16')).toBe('10.1.0.0/16')
    expect(canonicalCidr('FD00:0:0:1::5/64')).toBe('fd00:0:0:1::/64')
    expect(inPool({ name: 'p', cidr: 'fd00::/64', exclude: [] }, 'FD00:0::00Ab')).toBe('fd00::ab/64')
  })

  test('are in a block by number, not by text', () => {
    expect(contains(parseBlock('172.24.1.0/24'), parseBlock('172.24.1.96'))).toBe(true)
    expect(contains(parseBlock('172.24.1.0/28'), parseBlock('172.24.1.96'))).toBe(false)
    expect(contains(parseBlock('10.0.0.0/8'), parseBlock('::ffff:10.0.0.1'))).toBe(false)
    expect(overlaps(parseBlock('10.0.0.0/8'), parseBlock('10.3.0.0/16'))).toBe(true)
    expect(overlaps(parseBlock('10.3.0.0/16'), parseBlock('10.0.0.0/8'))).toBe(true)
    expect(overlaps(parseBlock('10.3.0.0/16'), parseBlock('10.4.0.0/16'))).toBe(false)
  })

  test('that a pool never leases are its network, its broadcast, its gateway and its exclusions', () => {
    const pool = {
      name: 'p',
      cidr: '10.0.0.0/24',
      gateway: '10.0.0.1',
      exclude: ['10.0.0.8/30', '10.0.0.100-10.0.0.110', '10.0.0.5'],
    }
    expect(excludedOffsets(pool)).toEqual([
      [0n, 0n],
      [255n, 255n],
      [1n, 1n],
      [8n, 11n],
      [100n, 110n],
      [5n, 5n],
    ])
    expect(excludedOffsets({ name: 'p', cidr: '10.0.0.0/31', exclude: [] })).toEqual([])
  })
})
