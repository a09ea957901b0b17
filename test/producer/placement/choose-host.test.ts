import { describe, expect, test } from 'vitest'
import type { CreateJail } from '#shared/jail.ts'
import { chooseHosts, type Policy } from '../../../producer/placement/choose-host.ts'
import type { PlacementHost } from '../../../producer/placement/placement-host.ts'
import { refusalError } from '../../../producer/placement/refusals.ts'
import { placementHost as host, world } from './placement-host.ts'

const ask: CreateJail = { name: 'web1', client: 'acme', world: 'tiny' }

const candidatesOf = (asked: Partial<CreateJail>, hosts: PlacementHost[], policy: Policy = 'spread') =>
  chooseHosts({ ...ask, ...asked }, hosts, policy).candidates.slice(0, hosts.length)
const order = (hosts: PlacementHost[], policy?: Policy) => candidatesOf({}, hosts, policy).map((candidate) => candidate.host.id)
const refusals = (asked: Partial<CreateJail>, hosts: PlacementHost[]) =>
  chooseHosts({ ...ask, ...asked }, hosts, 'spread')
    .refusals()
    .map(({ host, code, detail }) => `${host} ${code}: ${detail}`)

describe('the choice of a host', () => {
  const promised = (jails: number) => ({ jails, memory: 0, cpu: 0, disk: 0 })

  test('takes a ready world first, then fewest open operations, then the lowest share, then the name', () => {
    const filling = host('a', { worlds: [world('tiny', { state: 'filling' })] })
    const busy = host('b', { operations: 1 })
    const fuller = host('c', { promised: promised(5) })
    const emptier = host('e', { promised: promised(1) })
    const alike = host('d', { promised: promised(1) })
    expect(order([filling, busy, fuller, emptier, alike])).toEqual(['d', 'e', 'c', 'b', 'a'])
    expect(order([filling, busy, fuller, emptier, alike], 'pack')).toEqual(['c', 'd', 'e', 'b', 'a'])
  })

  test('gives the first few as they stand in the order of all', () => {
    const hosts = Array.from({ length: 40 }, (_, i) =>
      host(`h${i}`, { operations: (i * 7) % 5, promised: promised((i * 3) % 10) }),
    )
    const { candidates } = chooseHosts(ask, hosts, 'spread')
    const few = candidates.slice(0, 3).map(({ host: { id } }) => id)
    const all = candidates.slice(0, 40).map(({ host: { id } }) => id)
    expect(few).toEqual(all.slice(0, 3))
    expect(candidates.slice(3, 53).map(({ host: { id } }) => id)).toEqual(all.slice(3))
    expect(candidates.slice(53, 103)).toEqual([])
  })

  test('each is asked once, also when hosts change while the first are', () => {
    const hosts = Array.from({ length: 8 }, (_, i) => host(`h${i}`))
    const { candidates } = chooseHosts(ask, hosts, 'spread')
    const first = candidates.slice(0, 3).map(({ host: { id } }) => id)
    for (const each of hosts) if (first.includes(each.id)) each.operations += 5
    const rest = candidates.slice(3, 53).map(({ host: { id } }) => id)
    expect([...first, ...rest].sort()).toEqual(hosts.map(({ id }) => id))
  })

  test('asks hosts last that have promised all, since the ledger may know better', () => {
    const full = host('a', { promised: promised(10) })
    const filling = host('b', { worlds: [world('tiny', { state: 'absent' })] })
    expect(order([full, filling])).toEqual(['b', 'a'])
    expect(order([full, filling], 'pack')).toEqual(['b', 'a'])
  })

  test('leaves out the hosts that cannot, each with its reason', () => {
    const hosts = [
      host('a', { state: 'down', reason: 'silent' }),
      host('b', { worlds: [] }),
      host('c'),
      host('d', { supports: { diskLimit: true, setuid: 'never' } }),
      host('e', { state: 'draining' }),
    ]
    expect(candidatesOf({ limits: { disk: 5, memory: 5000 } }, hosts)).toEqual([])
    expect(refusals({ limits: { disk: 5, memory: 5000 } }, hosts)).toEqual([
      'a no_suitable_host: is down (silent)',
      'b unknown_world: does not offer world tiny',
      'c unsupported_limit: cannot hold a limit of disk',
      expect.stringMatching(/^d no_capacity: is too small: it has \S+ of memory in all, and the jail needs 4.9K$/),
      'e no_suitable_host: is draining',
    ])
  })

  test('puts a jail that may use setuid programs only where they give their rights, and any other anywhere', () => {
    const hosts = (['never', 'on-request', 'always'] as const).map((setuid) =>
      host(setuid, { supports: { diskLimit: false, setuid } }),
    )
    const chosen = (asked: Partial<CreateJail>) => candidatesOf(asked, hosts).map(({ host: { id } }) => id)
    expect(chosen({ privileges: { setuid: true } })).toEqual(['always', 'on-request'])
    for (const privileges of [undefined, {}, { setuid: false }]) expect(chosen({ privileges })).toHaveLength(3)
    expect(refusals({ privileges: { setuid: true } }, hosts)).toEqual([
      'never no_suitable_host: does not allow setuid programs in jails: `privileges: {setuid: true}` in its worker.yaml does',
    ])
  })

  test('gives the host of the request, or refuses a host that is not there', () => {
    expect(order([host('a'), host('b')])).toEqual(['a', 'b'])
    expect(candidatesOf({ host: 'b' }, [host('a'), host('b')]).map(({ host: { id } }) => id)).toEqual(['b'])
    expect(() => candidatesOf({ host: 'c' }, [host('a')])).toThrow('No host of the fleet is called c.')
  })

  test('promises the limits of the request, and for the rest the defaults of the host', () => {
    expect(candidatesOf({ limits: { cpu: 2 } }, [host('a')])[0]?.limits).toEqual({ memory: 10, cpu: 2, processes: 10 })
  })

  test('takes a label that some host declares as a wish, and any other as no matter of placement', () => {
    const hosts = [host('a', { labels: { zone: 'a' } }), host('b', { labels: { zone: 'b' } }), host('c')]
    const labels = { zone: 'b', team: 'blue' }
    expect(candidatesOf({ labels }, hosts).map(({ host: { id } }) => id)).toEqual(['b'])
    expect(refusals({ labels }, hosts)).toEqual([
      'a no_suitable_host: has not the label zone=b',
      'c no_suitable_host: has not the label zone=b',
    ])
    expect(candidatesOf({ labels, host: 'c' }, hosts)).toEqual([])
  })

  test('places nothing where hosts of one platform define the world differently', () => {
    const other = (id: string, change: Partial<PlacementHost> = {}) =>
      host(id, { worlds: [world('tiny', { digest: 'e' })], ...change })
    const bsd = host('d', { platform: 'freebsd/amd64' })
    expect(refusals({}, [host('a'), other('b', { state: 'draining' }), host('c'), bsd])).toEqual([
      'a no_suitable_host: offers world tiny by another definition than host b',
      'b no_suitable_host: is draining',
      'c no_suitable_host: offers world tiny by another definition than host b',
    ])
    expect(order([host('a'), other('b', { state: 'draining' }), host('c'), bsd])).toEqual(['d'])
    expect(order([host('a'), other('b', { state: 'down' }), host('c')])).toEqual(['a', 'c'])
  })

  test('takes an address only where it is in a pool and given out', () => {
    const pools = [{ name: 'main', cidr: '10.0.0.0/24', gateway: '10.0.0.1', exclude: ['10.0.0.8/30'] }]
    const hosts = [host('a', { pools }), host('b', { pools: [{ name: 'b', cidr: '10.1.0.0/24', exclude: [] }] })]
    const refusedBy = (address: string) => refusals({ addresses: [address] }, hosts)[0]
    expect(candidatesOf({ addresses: ['10.0.0.7'] }, hosts).map(({ wanted }) => wanted)).toEqual([
      [[{ pool: pools[0], address: '10.0.0.7' }]],
    ])
    expect(refusedBy('10.1.0.7')).toBe('a address_not_in_pool: has no pool that 10.1.0.7 is in')
    expect(refusedBy('10.0.0.7/16')).toBe('a address_not_in_pool: has 10.0.0.7/16 in pool 10.0.0.0/24, whose prefix is /24')
    for (const address of ['10.0.0.0', '10.0.0.1', '10.0.0.9', '10.0.0.255'])
      expect(refusedBy(address)).toBe(
        `a address_not_in_pool: never gives out ${address} of pool main: it is its gateway, excluded, or the network's own`,
      )
  })

  test('answers with the one reason that all hosts share, or with all of them', () => {
    const full = ['a', 'b'].map((id) => ({ host: id, code: 'no_capacity' as const, detail: 'is full' }))
    expect(refusalError(full).code).toBe('no_capacity')
    expect(refusalError([...full, { host: 'c', code: 'unknown_world', detail: 'lacks it' }])).toMatchObject({
      code: 'no_suitable_host',
      message: 'No host can take the jail: host a is full; host b is full; host c lacks it.',
    })
    expect(refusalError([]).code).toBe('no_suitable_host')
  })
})
