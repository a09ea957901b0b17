import fc from 'fast-check'
import type { Redis } from 'ioredis'
import { pino } from 'pino'
import { expect } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import type { CreateJail } from '#shared/jail.ts'
import { connectRedis } from '#shared/redis/connect-redis.ts'
import { type RedisKeys, redisKeys } from '#shared/redis/keys.ts'
import type { OperationReport } from '#shared/report.ts'
import type { AcceptDeps } from '../../../producer/operations/decision.ts'
import { createJail } from '../../../producer/operations/operate.ts'
import type { PlacementHost } from '../../../producer/placement/placement-host.ts'
import type { JailRecord } from '../../../producer/records/jails/jail-record.ts'
import { openStore } from '../../../producer/records/store.ts'
import { applyOperationReport } from '../../../producer/reports/apply-report.ts'
import { placementHost, world } from '../../producer/placement/placement-host.ts'
import { test } from '../../support/redis/redis-test.ts'

const shared = { name: 'shared', cidr: '10.0.0.0/29', gateway: '10.0.0.1', exclude: ['10.0.0.6'] }
const own = [
  { name: 'own', cidr: '10.1.0.0/30', exclude: [] },
  { name: 'six', cidr: 'fd00::/125', exclude: [] },
]
const MiB = 1024 ** 2
const capacity = { jails: 3, memory: 100 * MiB, cpu: 1, fills: 1, builds: 1, starts: 1 }
const defaults = { memory: 10 * MiB, cpu: 0.1, processes: 10 }
const worlds = [world('tiny', { digest: 'd'.repeat(64) })]
const hosts = [
  placementHost('host1', { pools: [shared], capacity, defaults, worlds }),
  placementHost('host2', { pools: [shared], capacity, defaults, worlds }),
  placementHost('host3', { pools: own, capacity, defaults, worlds }),
]
// Of the shared pool 4, by two hosts; of the other's own 2.
const jailsThatFit = 6

type Ask = Pick<CreateJail, 'host' | 'addresses' | 'limits'>
type Act = { create: Ask } | { destroy: number }

const asks = fc.constantFrom<Ask[]>(
  ...Array.from({ length: 8 }, () => ({})),
  ...['host1', 'host2', 'host3'].map((host) => ({ host })),
  ...[60, 101].map((size) => ({ limits: { memory: size * MiB } })),
  ...['10.0.0.3', '10.0.0.4', '10.1.0.1', '10.0.0.6'].map((address) => ({ addresses: [address] })),
  { addresses: ['fd00::3', '10.1.0.2'] },
  { addresses: ['10.0.0.5', '10.0.0.5'] },
)
const acts: fc.Arbitrary<Act> = fc.oneof(
  { weight: 3, arbitrary: asks.map((create) => ({ create })) },
  { weight: 2, arbitrary: fc.nat(20).map((destroy) => ({ destroy })) },
)
/** What stands in one list is done at once. */
const lives = fc.array(fc.array(acts, { minLength: 1, maxLength: 4 }), { maxLength: 12 })

test('whatever jails come and go, no host promises more than it has, no address is given twice, and all comes back', async ({
  redis: { url, prefix },
}) => {
  const redis = connectRedis(url)
  let lived = 0
  const life = fc.asyncProperty(lives, async (life) => {
    lived += 1
    const keys = redisKeys(`${prefix}:${lived}`)
    for (const { id } of hosts) await redis.set(keys.hostAlive(id), 'here')
    const fleet = makeFleet(redis, keys)
    await fleet.countLeases()
    for (const together of life) {
      await Promise.all(together.map((act) => ('create' in act ? fleet.create(act.create) : fleet.destroy(act.destroy))))
      await fleet.assertSound()
    }
    await fleet.destroyAll()
    expect(await fleet.ledger()).toEqual({ promised: [], leases: {}, jails: [] })

    // Nothing was lost on the way: as many fit as into an empty fleet.
    while (await fleet.create({}));
    await fleet.assertSound()
    expect((await fleet.ledger()).jails).toHaveLength(jailsThatFit)
  })
  await fc.assert(life, { numRuns: 30 })
  redis.disconnect()
})

function makeFleet(redis: Redis, keys: RedisKeys) {
  const store = openStore(redis, keys)
  const { records, scripts } = store
  const deps: AcceptDeps = {
    ...store,
    log: pino({ level: 'silent' }),
    hosts: { all: () => hosts, get: () => undefined, notePromise: () => undefined },
    placement: 'spread',
    enqueue: async () => undefined,
  }
  const there: { jail: string; operation: string }[] = []
  let names = 0

  /** As a producer does at its start. */
  const countLeases = () => scripts.countLeases([keys.leases], 'set')

  async function create(ask: Ask): Promise<boolean> {
    names += 1
    const name = `j${names}`
    const answer = await createJail(deps, { name, client: 'acme', world: 'tiny', ...ask }).catch((error) => {
      if (error instanceof ProvostError && error.status < 500) return undefined
      throw error
    })
    if (answer) there.push({ jail: name, operation: answer.operation.id })
    return answer !== undefined
  }

  /** As its host reports it: the provision was cancelled, and nothing is left. */
  async function destroy(which: number): Promise<void> {
    const [gone] = there.splice(which % Math.max(there.length, 1), 1)
    if (!gone) return
    const [jail, operation] = [await records.jail(gone.jail), await records.operation(gone.operation)]
    if (!jail || !operation) throw new Error(`There are no records of ${gone.jail}.`)
    const report: OperationReport = {
      type: 'operation',
      host: jail.host,
      operation: operation.id,
      epoch: operation.epoch,
      attempt: operation.attempt,
      sequence: 1,
      at: new Date().toISOString(),
      status: 'cancelled',
      percent: 0,
      step: null,
      steps: [],
      jail: jail.name,
      jailState: 'gone',
      jid: null,
    }
    const change = applyOperationReport(report, operation, jail, keys)
    expect(change && (await scripts.commit(change)).type).toBe('done')
  }

  async function ledger() {
    const promised = await Promise.all(hosts.map(({ id }) => redis.hgetall(keys.promised(id))))
    return {
      promised: promised
        .flatMap((all, i) => Object.entries(all).map(([name, value]) => [hosts[i]?.id, name, Number(value)] as const))
        .filter(([, , value]) => value !== 0),
      leases: await redis.hgetall(keys.leases),
      jails: await records.jails(await redis.zrange(keys.jails(), '0', '-1')),
    }
  }

  return {
    countLeases,
    create,
    destroy,
    ledger,
    async destroyAll(): Promise<void> {
      while (there.length > 0) await destroy(0)
    },
    async assertSound(): Promise<void> {
      const { promised, leases, jails } = await ledger()
      expect(jails.map(({ name }) => name).sort()).toEqual(there.map(({ jail }) => jail).sort())
      const leased = jails.flatMap((jail) => jail.leases.map(([address]) => [address, jail.name] as const))
      expect(leased).toHaveLength(new Map(leased).size)
      expect(leases).toEqual(Object.fromEntries(leased))
      for (const host of hosts) {
        const onHost = jails.filter((jail) => jail.host === host.id)
        const sums = { jails: onHost.length, memory: sum(onHost.map(({ limits }) => limits.memory)) }
        for (const resource of ['jails', 'memory'] as const) {
          const noted = promised.find(([id, name]) => id === host.id && name === resource)?.[2] ?? 0
          expect([host.id, resource, noted]).toEqual([host.id, resource, sums[resource]])
          expect(noted).toBeLessThanOrEqual(host.capacity[resource])
        }
        for (const jail of onHost) expect(poolsAreOf(host, jail)).toBe(true)
      }
    },
  }
}

const sum = (values: number[]) => values.reduce((a, b) => a + b, 0)

function poolsAreOf({ pools }: PlacementHost, { leases }: JailRecord): boolean {
  return leases.every(([, , cidr]) => pools.some((pool) => pool.cidr === cidr))
}
