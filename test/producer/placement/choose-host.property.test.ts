import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CreateJail } from '#shared/jail.ts'
import { parseBlock } from '#shared/network/addresses.ts'
import { type Candidate, chooseHosts } from '../../../producer/placement/choose-host.ts'
import type { PlacementHost } from '../../../producer/placement/placement-host.ts'
import { poolOf } from '../../../producer/placement/pool-facts.ts'
import type { Refusal } from '../../../producer/placement/refusals.ts'
import { asks, fleets } from './placement-arbitraries.ts'
import { world } from './placement-host.ts'

const placements = fc.tuple(asks, fleets, fc.constantFrom('spread', 'pack'))
const options = { numRuns: 500 }

describe('whatever the fleet and the request', () => {
  test('each host is either a candidate or refused with a reason', () => {
    fc.assert(
      fc.property(placements, ([ask, fleet, policy]) => {
        const { candidates, refusals } = chooseHosts(ask, fleet, policy)
        const answered = [...idsOf(candidates.slice(0, 100)), ...refusals().map(({ host }) => host)]
        expect(answered.sort()).toEqual(fleet.map(({ id }) => id).sort())
      }),
      options,
    )
  })

  test('a candidate has all that the jail must have', () => {
    fc.assert(
      fc.property(placements, ([ask, fleet, policy]) => {
        for (const candidate of chooseHosts(ask, fleet, policy).candidates.slice(0, 100))
          expect(missing(candidate, ask, fleet)).toEqual([])
      }),
      options,
    )
  })

  test('a refusal is true: with what it names mended the host is refused for something else, and in the end for nothing', () => {
    fc.assert(
      fc.property(placements, ([ask, fleet, policy]) => {
        for (const { id } of fleet) {
          let mended = fleet
          const named: string[] = []
          for (;;) {
            const refusal = chooseHosts(ask, mended, policy)
              .refusals()
              .find(({ host }) => host === id)
            if (!refusal) break
            expect(named).not.toContain(refusal.detail)
            named.push(refusal.detail)
            mended = mend(mended, refusal, ask)
          }
          expect(idsOf(chooseHosts(ask, mended, policy).candidates.slice(0, 100))).toContain(id)
        }
      }),
      options,
    )
  })

  test('candidates come by room, ready world, open operations, share and name, also when only few are asked for', () => {
    fc.assert(
      fc.property(placements, ([ask, fleet, policy]) => {
        const { candidates } = chooseHosts(ask, fleet, policy)
        const few = idsOf(candidates.slice(0, 3))
        const all = candidates.slice(0, 100)
        expect(few).toEqual(idsOf(all).slice(0, 3))
        const keys = all.map((candidate) => sortKey(candidate, ask, policy))
        expect(keys).toEqual(keys.toSorted(compareKeys))
      }),
      options,
    )
  })
})

const idsOf = (candidates: Candidate[]) => candidates.map(({ host }) => host.id)

function missing({ host, limits, worldDigest, wanted }: Candidate, ask: CreateJail, fleet: PlacementHost[]): string[] {
  const offered = host.worlds.find(({ name }) => name === ask.world)
  const alike = fleet
    .filter(({ state, platform }) => ['up', 'draining'].includes(state) && platform === host.platform)
    .flatMap(({ worlds }) => worlds)
    .filter(({ name }) => name === ask.world)
  const wishes = Object.entries(ask.labels ?? {}).filter(([key]) => fleet.some((other) => key in other.labels))
  const { memory, cpu, disk } = host.capacity
  const faults: Record<string, boolean> = {
    state: host.state !== 'up',
    world: offered?.digest !== worldDigest || alike.some(({ digest }) => digest !== worldDigest),
    labels: wishes.some(([key, value]) => host.labels[key] !== value),
    'disk limit': ask.limits?.disk !== undefined && !host.supports.diskLimit,
    setuid: ask.privileges?.setuid === true && host.supports.setuid === 'never',
    capacity: limits.memory > memory || limits.cpu > cpu || (limits.disk ?? 0) > (disk ?? 1e9),
    limits: Object.entries(ask.limits ?? {}).some(([name, value]) => value !== undefined && limits[name as 'memory'] !== value),
    addresses: ask.addresses !== undefined && wanted.flat().length !== ask.addresses.length,
  }
  return Object.keys(faults).filter((fault) => faults[fault])
}

/** Returns the fleet without the fault that a refusal names. */
function mend(fleet: PlacementHost[], { host: id, detail }: Refusal, ask: CreateJail): PlacementHost[] {
  const change = (who: string, how: (host: PlacementHost) => Partial<PlacementHost>) =>
    fleet.map((host) => (host.id === who ? { ...host, ...how(host) } : host))
  const words = detail.split(' ')
  const offering = ({ worlds }: PlacementHost, digest: string) => [
    ...worlds.filter(({ name }) => name !== ask.world),
    world(ask.world, { digest }),
  ]
  const own = fleet.find((host) => host.id === id) as PlacementHost
  const address = ask.addresses?.find((asked) => words.includes(asked)) ?? ''
  const others = own.pools.filter((pool) => pool !== poolOf(own.pools, parseBlock(address || '::')))

  if (detail.startsWith('does not offer')) return change(id, (host) => ({ worlds: offering(host, 'd') }))
  if (detail.startsWith('offers world')) {
    const digest = own.worlds.find(({ name }) => name === ask.world)?.digest ?? ''
    return change(words.at(-1) ?? '', (host) => ({ worlds: offering(host, digest) }))
  }
  if (detail.startsWith('has not the label')) {
    const [key = '', value = ''] = words.at(-1)?.split('=') ?? []
    return change(id, ({ labels }) => ({ labels: { ...labels, [key]: value } }))
  }
  if (detail.startsWith('cannot hold')) return change(id, ({ supports }) => ({ supports: { ...supports, diskLimit: true } }))
  if (detail.startsWith('does not allow setuid'))
    return change(id, ({ supports }) => ({ supports: { ...supports, setuid: 'on-request' } }))
  const resource = / it has \S+(?: cores)? of (\w+) in all/.exec(detail)?.[1]
  if (resource) return change(id, ({ capacity }) => ({ capacity: { ...capacity, [resource]: 10_000 } }))
  if (detail.startsWith('is ')) return change(id, () => ({ state: 'up' }))
  if (detail.startsWith('has no pool')) {
    const cidr = address.includes('/') ? address : `${address}/${address.includes(':') ? 64 : 24}`
    return change(id, ({ pools }) => ({ pools: [...pools, { name: 'new', cidr, exclude: [] }] }))
  }
  if (detail.includes('whose prefix')) return change(id, () => ({ pools: others }))
  if (detail.startsWith('never gives out'))
    return change(id, ({ pools }) => ({ pools: pools.map(({ name, cidr }) => ({ name, cidr, exclude: [] })) }))
  throw new Error(`Nothing is known to mend "${detail}".`)
}

function sortKey({ host, limits }: Candidate, ask: CreateJail, policy: string): (number | string)[] {
  const { promised, capacity } = host
  const isFull =
    promised.jails + 1 > capacity.jails ||
    promised.memory + limits.memory > capacity.memory ||
    promised.cpu + limits.cpu > capacity.cpu ||
    promised.disk + (limits.disk ?? 0) > (capacity.disk ?? 1e9)
  const isReady = host.worlds.some(({ name, state }) => name === ask.world && state === 'ready')
  const share = Math.max(promised.memory / capacity.memory, promised.cpu / capacity.cpu, promised.jails / capacity.jails)
  return [isFull ? 1 : 0, isReady ? 0 : 1, host.operations, policy === 'pack' ? -share : share, host.id]
}

function compareKeys(a: (number | string)[], b: (number | string)[]): number {
  const i = a.findIndex((part, at) => part !== b[at])
  const [left, right] = [a[i] ?? 0, b[i] ?? 0]
  return left < right ? -1 : left > right ? 1 : 0
}
