import { rm } from 'node:fs/promises'
import type { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { scaledTiming } from '#shared/process/timing.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { ownRedis } from '../../support/redis/own-redis.ts'
import { durable } from '../../support/redis/redis-server.ts'
import { until } from '../../support/until.ts'

type Fault = { end(redis: Redis): Promise<unknown>; begin(redis: Redis): Promise<unknown>; code: string }

const faults: Record<string, Fault> = {
  'is full': {
    begin: (redis) => redis.config('SET', 'maxmemory', '1mb'),
    end: (redis) => redis.config('SET', 'maxmemory', '0'),
    code: 'OOM',
  },
  'is a replica': {
    begin: (redis) => redis.replicaof('127.0.0.1', 1),
    end: (redis) => redis.replicaof('NO', 'ONE'),
    code: 'READONLY',
  },
  'lacks replicas': {
    begin: (redis) => redis.config('SET', 'min-replicas-to-write', '1'),
    end: (redis) => redis.config('SET', 'min-replicas-to-write', '0'),
    code: 'NOREPLICAS',
  },
  'cannot save': {
    async begin(redis) {
      const [, directory = ''] = (await redis.config('GET', 'dir')) as string[]
      await rm(directory, { recursive: true })
      await redis.config('SET', 'save', '3600 1')
      await redis.bgsave().catch(() => undefined)
      await until('the save to fail', async () => (await redis.info('persistence')).includes('rdb_last_bgsave_status:err'))
    },
    end: (redis) => redis.config('SET', 'stop-writes-on-bgsave-error', 'no'),
    code: 'MISCONF',
  },
}

test.for(Object.entries(faults))(
  'while Redis takes no writes as it %s, nothing is refused for good and no host is down',
  async ([, { begin, end, code }], context) => {
    const { redis } = await ownRedis(context, code === 'MISCONF' ? [...durable, '--appendonly', 'no'] : durable)
    const fleet = await startFleet(redis, { timing: scaledTiming(0.2), hosts: ['host1', 'host2'] })
    const { redis: connection, keys } = storeOf(redis)
    await fleet.ended(await fleet.ask('web1'))
    await fleet.stopHost('host2')
    await fleet.hostIs('host2', 'down')

    await begin(connection)
    await until('the heartbeat to expire', async () => (await connection.exists(keys.hostAlive('host1'))) === 0)
    const refused = await fleet.ask('web2')
    expect([refused.status, refused.body.code, refused.headers.get('retry-after')]).toEqual([503, 'queue_unavailable', '2'])
    expect(refused.body.detail).toMatch(new RegExp(`^Redis takes no writes: ${code} `))
    expect((await fleet.call('DELETE', '/v1/jails/web1')).body.code).toBe('queue_unavailable')
    const readiness = await fleet.call('GET', '/readyz')
    expect([readiness.status, readiness.body.reasons]).toEqual([
      503,
      expect.arrayContaining([expect.stringMatching(`^Redis takes no writes: ${code} `)]),
    ])
    const states = (await fleet.call('GET', '/v1/hosts')).body.items.map((host: { state: string }) => host.state)
    expect(states).toEqual(['up', 'down'])
    expect((await fleet.call('GET', '/v1/jails/web1')).body.state).toBe('running')

    await end(connection)
    const statuses = new Set<number>()
    const asked = await until('a jail to be accepted', async () => {
      const answer = await fleet.ask('web2')
      statuses.add(answer.status)
      return answer.status === 202 && answer
    })
    expect([...statuses].filter((status) => status !== 202 && status !== 503)).toEqual([])
    expect((await fleet.ended(asked)).status).toBe('succeeded')
    await fleet.stop()
  },
)

test('a host that ends while Redis takes no writes is down some time after it takes them again', async (context) => {
  const { redis } = await ownRedis(context, durable)
  const fleet = await startFleet(redis, { timing: scaledTiming(0.2), hosts: ['host1', 'host2'] })
  const { redis: connection } = storeOf(redis)
  await connection.config('SET', 'min-replicas-to-write', '1')
  await fleet.stopHost('host2')
  await connection.config('SET', 'min-replicas-to-write', '0')
  await fleet.hostIs('host2', 'down')
  expect((await fleet.ended(await fleet.ask('web1'))).status).toBe('succeeded')
  await fleet.stop()
})
