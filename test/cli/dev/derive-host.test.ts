import { describe, expect, test } from 'vitest'
import { overlaps, parseBlock } from '#shared/network/addresses.ts'
import { deriveHost } from '../../../cli/dev/derive-host.ts'

const families = { ipv6: true }
const blocks = (host: ReturnType<typeof deriveHost>) => host.pools.map(({ cidr }) => parseBlock(cidr))

test('gives a host the same networks every time', () => {
  expect(deriveHost('/state', 1, [], families)).toEqual(deriveHost('/state', 1, [], families))
})

test('names the bridge so that the kernel accepts the name', () => {
  expect(deriveHost('/a/very/long/path/to/a/state/directory', 100, [], families).bridge).toMatch(/^pv[0-9a-f]{10}$/)
})

describe('the pools', () => {
  test('are a /22 of private IPv4 addresses and a /64 of unique local IPv6 ones, each with its first address as gateway', () => {
    const [ipv4, ipv6] = deriveHost('/state', 1, [], families).pools
    expect(ipv4?.cidr).toMatch(/^(10\.|172\.|100\.)\S+\/22$/)
    expect(ipv4?.gateway).toBe(ipv4?.cidr.replace(/\.0\/22$/, '.1'))
    expect(ipv6?.cidr).toMatch(/^fd[0-9a-f:]+::\/64$/)
    expect(ipv6?.gateway).toBe(ipv6?.cidr.replace('/64', '1'))
  })

  test('have no IPv6 where the kernel has none', () => {
    expect(deriveHost('/state', 1, [], { ipv6: false }).pools.map(({ name }) => name)).toEqual(['ipv4'])
  })

  test('differ between states and between hosts of one', () => {
    const cidrs = ['/a', '/b', '/c'].flatMap((state) =>
      [1, 2, 3].flatMap((number) => deriveHost(state, number, [], families).pools.map(({ cidr }) => cidr)),
    )
    expect(new Set(cidrs).size).toBe(cidrs.length)
  })

  test('do not overlap networks in use, larger or smaller', () => {
    const [first, second] = blocks(deriveHost('/state', 1, [], families))
    if (!first || !second) throw new Error('two pools were expected')
    const inUse = [{ ...first, prefix: 16 }, parseBlock('172.16.0.0/12'), { ...second, value: second.value + 9n, prefix: 128 }]
    const other = blocks(deriveHost('/state', 1, inUse, families))
    expect(other.some((block) => inUse.some((used) => overlaps(used, block)))).toBe(false)
    expect(other.map(({ prefix }) => prefix)).toEqual([22, 64])
  })

  test('do not exist where every private network is in use', () => {
    const inUse = ['10.0.0.0/8', '172.16.0.0/12', '100.64.0.0/10'].map(parseBlock)
    expect(() => deriveHost('/state', 1, inUse, families)).toThrow('Every private IPv4 network')
  })
})
