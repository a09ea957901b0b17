import fc, { type Arbitrary } from 'fast-check'
import type { CreateJail } from '#shared/jail.ts'
import type { PlacementHost } from '../../../producer/placement/placement-host.ts'
import { placementHost, world } from './placement-host.ts'

// Each of several conditions is usually met: as all of them must be, hardly any host would be chosen otherwise.
const mostly = <T>(usual: T, ...rare: T[]): Arbitrary<T> =>
  fc.oneof({ weight: 8, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...rare) })
const seldom = <T>(value: Arbitrary<T>): Arbitrary<T | undefined> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value })

const worldNamed = (name: string) =>
  fc
    .record({ digest: mostly('d', 'd', 'e', 'f'), state: fc.constantFrom('ready', 'absent', 'filling', 'failed') })
    .map((change) => world(name, change))

const worlds = fc
  .tuple(worldNamed('tiny'), fc.boolean(), mostly(true, false))
  .map(([tiny, hasLarge, hasTiny]) => [...(hasTiny ? [tiny] : []), ...(hasLarge ? [world('large')] : [])])

const pools = fc
  .record({ cidr: mostly('10.0.0.0/24', '10.0.0.0/16'), gateway: mostly('10.0.0.1', '10.0.0.7'), six: mostly(true, false) })
  .map(({ cidr, gateway, six }) => [
    { name: 'four', cidr, gateway, exclude: cidr.endsWith('24') ? [] : ['10.0.0.8/30'] },
    ...(six ? [{ name: 'six', cidr: 'fd00::/64', exclude: [] }] : []),
  ])

const promised = fc.record({
  jails: mostly(1, 2, 10),
  memory: mostly(20, 500, 1000),
  cpu: mostly(1, 10),
  disk: mostly(0, 100),
})

const capacity = fc.record({ memory: mostly(1000, 20), cpu: mostly(10, 1), disk: mostly(100, 10) })

const hosts: Arbitrary<Partial<PlacementHost>> = fc.record({
  state: mostly<PlacementHost['state']>('up', 'draining', 'down', 'incompatible'),
  platform: mostly('linux/x64', 'freebsd/amd64'),
  worlds,
  pools,
  labels: mostly<Record<string, string>>({ zone: 'a' }, { zone: 'b' }, {}, { disk: 'fast' }),
  operations: fc.integer({ min: 0, max: 2 }),
  promised,
  supports: fc.record({ diskLimit: mostly(true, false), setuid: mostly('on-request', 'never', 'always') }),
  capacity: capacity.map((all) => ({ jails: 10, fills: 1, builds: 2, starts: 2, ...all })),
})

/** Fleets of a few hosts that differ in everything that placement considers. */
export const fleets = fc
  .array(hosts, { minLength: 1, maxLength: 7 })
  .map((all) => all.map((change, i) => placementHost(`host${i}`, change)))

/** Requests that some of those hosts can take. */
export const asks: Arbitrary<CreateJail> = fc
  .record({
    world: mostly('tiny', 'large'),
    labels: seldom(fc.constantFrom<Record<string, string>[]>({ zone: 'a' }, { zone: 'b', disk: 'fast' }, { team: 'blue' })),
    memory: seldom(fc.constantFrom(30, 500)),
    cpu: seldom(fc.constantFrom(0.5, 5)),
    disk: seldom(fc.constantFrom(5, 50)),
    privileges: seldom(fc.constantFrom({ setuid: true }, { setuid: false }, {})),
    addresses: seldom(fc.constantFrom<string[][]>(['10.0.0.7'], ['10.0.0.9/24'], ['10.0.3.3/16'], ['fd00::7', '10.0.0.66'])),
  })
  .map(({ memory, cpu, disk, ...ask }) => ({ name: 'web1', client: 'acme', ...ask, limits: { memory, cpu, disk } }))
