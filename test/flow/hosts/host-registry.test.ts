import { describe, expect } from 'vitest'
import { openTestRegistry } from '../../support/fleets/test-producer.ts'
import { hostReport, writeBeat, writeHost } from '../../support/hosts/write-host.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test as base, type TestRedis } from '../../support/redis/redis-test.ts'

const pool = (cidr: string) => ({ name: 'main', cidr, exclude: [] })

type Registry = Awaited<ReturnType<typeof openRegistry>>

const test = base.extend<{ fleet: Registry }>({
  fleet: async ({ redis }, use) => {
    const fleet = await openRegistry(redis)
    await use(fleet)
    await fleet.hosts.stop()
  },
})

/** Two hosts that are up, and what is announced of them from then on. */
async function openRegistry(at: TestRedis) {
  const store = storeOf(at)
  const { redis, keys } = store
  const news: string[] = []
  for (const id of ['host1', 'host2']) await writeHost(redis, keys, hostReport(id))
  const hosts = await openTestRegistry(store, (id) => news.push(id))
  expect(news.splice(0)).toEqual(['host1', 'host2'])
  return { redis, keys, hosts, news, states: () => hosts.all().map(({ id, state, reason }) => [id, state, reason]) }
}

describe('the hosts of a fleet', () => {
  test('are read by their beats, and a report only when its beat says that it is another', async ({
    fleet: { redis, keys, hosts, news },
  }) => {
    const platformOf = async () => {
      await hosts.refresh()
      return hosts.get('host1')?.platform
    }
    await redis.set(keys.hostReport('host1'), JSON.stringify(hostReport('host1', { platform: 'linux/arm64' })))
    expect(await platformOf()).toBe('linux/x64')
    await writeBeat(redis, keys, 'host1', { report: '2' })
    expect(await platformOf()).toBe('linux/arm64')
    expect(news).toEqual(['host1'])
  })

  test('are announced when what they promise, do or drift changes, and not for a beat', async ({
    fleet: { redis, keys, hosts, news },
  }) => {
    const load = { fills: 0, builds: 1, starts: 0, jails: 3, loadAverage: 0.5 }
    await writeBeat(redis, keys, 'host1', { load })
    await hosts.refresh()
    expect(hosts.get('host1')?.load).toEqual(load)
    expect(news).toEqual([])
    await redis.hset(keys.promised('host1'), 'jails', 2, 'memory', 64, 'cpu', 1500)
    await hosts.refresh()
    await redis.zadd(keys.operations('host', 'host1'), 0, 'one', 0, 'two')
    await hosts.refresh()
    await writeBeat(redis, keys, 'host1', { drift: 3 })
    await hosts.refresh()
    expect(news).toEqual(['host1', 'host1', 'host1'])
    expect(hosts.get('host1')).toMatchObject({
      promised: { jails: 2, memory: 64, cpu: 1.5, disk: 0 },
      operations: 2,
      drift: 3,
    })
  })

  test('count what was just promised until the ledger is read, which is announced', async ({
    fleet: { redis, keys, hosts, news },
  }) => {
    hosts.notePromise('host1', { memory: 64, cpu: 0.5, processes: 10 })
    expect(hosts.get('host1')).toMatchObject({ operations: 1, promised: { jails: 1, memory: 64, cpu: 0.5, disk: 0 } })
    await redis.hset(keys.promised('host1'), 'jails', 1, 'memory', 64, 'cpu', 500)
    await hosts.refresh()
    expect(hosts.get('host1')).toMatchObject({ operations: 0, promised: { jails: 1, memory: 64, cpu: 0.5, disk: 0 } })
    expect(news).toEqual(['host1'])
  })

  test('are down when they are silent, and when their worker is older than beats are', async ({
    fleet: { redis, keys, hosts, news, states },
  }) => {
    await redis.del(keys.hostAlive('host1'))
    await redis.del(keys.hostBeat('host2'))
    await hosts.refresh()
    expect(states()).toEqual([
      ['host1', 'down', 'silent for more than 10 s'],
      ['host2', 'down', 'its worker sends no heartbeats that this producer knows; upgrade it'],
    ])
    for (const id of ['host1', 'host2']) await writeBeat(redis, keys, id)
    await redis.sadd(keys.draining, 'host2')
    await hosts.refresh()
    expect(states()).toEqual([
      ['host1', 'up', undefined],
      ['host2', 'draining', undefined],
    ])
    expect(news).toEqual(['host1', 'host2', 'host1', 'host2'])
  })

  test('stand by one another when what one says cannot be understood', async ({ fleet: { redis, keys, hosts, states } }) => {
    await writeHost(redis, keys, { ...hostReport('host3'), capacity: 'much' } as never)
    await redis.set(keys.hostReport('host2'), '{')
    await writeBeat(redis, keys, 'host2', { report: '2' })
    await hosts.refresh()
    expect(states()).toEqual([['host1', 'up', undefined]])
    await writeHost(redis, keys, hostReport('host2'), '3')
    await hosts.refresh()
    expect(states().map(([id]) => id)).toEqual(['host1', 'host2'])
  })

  test('are incompatible while a pool of theirs overlaps one of an earlier host', async ({
    fleet: { redis, keys, hosts, states },
  }) => {
    await writeHost(redis, keys, hostReport('host1', { pools: [pool('10.0.0.0/24')] }), '2')
    await writeHost(redis, keys, hostReport('host2', { pools: [pool('10.0.0.0/25')] }), '2')
    await hosts.refresh()
    const reason = 'pool 10.0.0.0/25 overlaps pool 10.0.0.0/24 of host host1'
    expect(states()[1]).toEqual(['host2', 'incompatible', reason])
    await writeHost(redis, keys, hostReport('host1', { pools: [pool('10.0.1.0/24')] }), '3')
    await hosts.refresh()
    expect(states()[1]).toEqual(['host2', 'up', undefined])
  })
})
