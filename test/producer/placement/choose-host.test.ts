import { describe, expect, test } from 'vitest'
import type { HostReport } from '#shared/host.ts'
import { chooseHosts, type PlacementHost, poolConflict, refusalError } from '../../../producer/placement/choose-host.ts'

const ask = { name: 'web1', client: 'acme', world: 'tiny' }

function host(id: string, change: Partial<PlacementHost> = {}): PlacementHost {
  return {
    id,
    state: 'up',
    runtime: 'linux',
    platform: 'linux/x64',
    worlds: [{ name: 'tiny', digest: 'd', method: 'tree', state: 'ready', prefill: true }],
    pools: [{ name: 'main', cidr: '10.0.0.0/24', exclude: [] }],
    capacity: { jails: 10, memory: 1000, cpu: 10, fills: 1, builds: 2, starts: 2 },
    promised: { jails: 0, memory: 0, cpu: 0, disk: 0 },
    load: { fills: 0, builds: 0, starts: 0, jails: 0, loadAverage: 0 },
    labels: {},
    lastSeen: '2026-01-01T00:00:00Z',
    versions: { provost: '1', node: '24', os: 'x', plans: [1] },
    defaults: { memory: 10, cpu: 0.1, processes: 10 },
    supports: { diskLimit: false },
    ...change,
  }
}

const order = (hosts: PlacementHost[], policy: 'spread' | 'pack' = 'spread') =>
  chooseHosts(ask, hosts, policy).candidates.map((candidate) => candidate.host.id)

describe('the choice of a host', () => {
  test('takes a ready world first, then fewest builds, then the lowest share, then the name', () => {
    const filling = host('a', { worlds: [{ name: 'tiny', digest: 'd', method: 'tree', state: 'filling', prefill: true }] })
    const building = host('b', { load: { fills: 0, builds: 1, starts: 0, jails: 0, loadAverage: 0 } })
    const fuller = host('c', { promised: { jails: 5, memory: 0, cpu: 0, disk: 0 } })
    const emptier = host('e', { promised: { jails: 1, memory: 0, cpu: 0, disk: 0 } })
    const alike = host('d', { promised: { jails: 1, memory: 0, cpu: 0, disk: 0 } })
    expect(order([filling, building, fuller, emptier, alike])).toEqual(['d', 'e', 'c', 'b', 'a'])
    expect(order([filling, building, fuller, emptier, alike], 'pack')).toEqual(['c', 'd', 'e', 'b', 'a'])
  })

  test('leaves out the hosts that cannot, each with its reason', () => {
    const { candidates, refusals } = chooseHosts(
      { ...ask, limits: { disk: 5, memory: 5000 } },
      [
        host('a', { state: 'down', reason: 'silent' }),
        host('b', { worlds: [] }),
        host('c'),
        host('d', { supports: { diskLimit: true } }),
      ],
      'spread',
    )
    expect(candidates).toEqual([])
    expect(refusals.map(({ host, code }) => `${host} ${code}`)).toEqual([
      'a no_suitable_host',
      'b unknown_world',
      'c unsupported_limit',
      'd no_capacity',
    ])
  })

  test('gives the host of the request, or refuses a host that is not there', () => {
    expect(order([host('a'), host('b')])).toEqual(['a', 'b'])
    expect(chooseHosts({ ...ask, host: 'b' }, [host('a'), host('b')], 'spread').candidates.map(({ host: { id } }) => id)).toEqual(
      ['b'],
    )
    expect(() => chooseHosts({ ...ask, host: 'c' }, [host('a')], 'spread')).toThrow('No host of the fleet is called c.')
  })

  test('promises the limits of the request, and for the rest the defaults of the host', () => {
    const { candidates } = chooseHosts({ ...ask, limits: { cpu: 2 } }, [host('a')], 'spread')
    expect(candidates[0]?.limits).toEqual({ memory: 10, cpu: 2, processes: 10 })
  })

  test('answers with the one reason that all hosts share, or with all of them', () => {
    const refusals = [
      { host: 'a', code: 'no_capacity' as const, detail: 'is full' },
      { host: 'b', code: 'no_capacity' as const, detail: 'is full' },
    ]
    expect(refusalError(refusals).code).toBe('no_capacity')
    expect(refusalError([...refusals, { host: 'c', code: 'unknown_world', detail: 'lacks it' }])).toMatchObject({
      code: 'no_suitable_host',
      message: 'No host can take the jail: host a is full; host b is full; host c lacks it.',
    })
    expect(refusalError([]).code).toBe('no_suitable_host')
  })
})

describe('pools of two hosts', () => {
  const report = (id: string, name: string, cidr: string) =>
    ({ ...host(id), pools: [{ name, cidr, exclude: [] }] }) as unknown as HostReport

  test('may be the same, or apart, but not overlap', () => {
    const first = report('a', 'main', '10.0.0.0/24')
    expect(poolConflict(report('b', 'main', '10.0.0.9/24'), [first])).toBeUndefined()
    expect(poolConflict(report('b', 'main', '10.0.1.0/24'), [first])).toBeUndefined()
    expect(poolConflict(report('b', 'other', '10.0.0.0/24'), [first])).toContain('overlaps pool 10.0.0.0/24 of host a')
    expect(poolConflict(report('b', 'main', '10.0.0.0/16'), [first])).toContain('overlaps')
    expect(poolConflict(report('b', 'main', '10.0.0.128/25'), [first])).toContain('overlaps')
  })
})
