import { expect, test } from 'vitest'
import { scaledTiming } from '#shared/process/timing.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { ownRedis } from '../../support/redis/own-redis.ts'
import { durable } from '../../support/redis/redis-server.ts'
import { until } from '../../support/until.ts'

const timing = scaledTiming(0.2)

test('jobs are added and taken after Redis has forgotten its scripts, again and again', async (context) => {
  const { redis } = await ownRedis(context)
  const fleet = await startFleet(redis)
  const { redis: connection, keys } = storeOf(redis)
  for (const name of ['web1', 'web2', 'web3']) {
    const asked = await fleet.ask(name)
    expect(asked.status).toBe(202)
    expect(await connection.zscore(keys.wakeups, asked.body.operation.id)).toBe(null)
    expect((await fleet.ended(asked, 5_000)).status).toBe('succeeded')
    await connection.script('FLUSH')
  }
  await fleet.stop()
})

test('of two producers each adds jobs after a failover that keeps its connection', async (context) => {
  const { redis } = await ownRedis(context)
  const fleet = await startFleet(redis, { timing })
  const other = await startFleet(redis, { timing, hosts: [] })
  const { redis: connection } = storeOf(redis)
  for (const each of [fleet, other]) await fleet.ended(await each.ask(`web${each === fleet ? 1 : 2}`))
  // What a new primary behind the same address does not have.
  await connection.script('FLUSH')
  for (const each of [other, fleet])
    expect((await fleet.ended(await each.ask(`web${each === fleet ? 3 : 4}`), 5_000)).status).toBe('succeeded')
  await other.stop()
  await fleet.stop()
})

test('while jobs cannot be added the operation and the readiness say so', async (context) => {
  const { redis } = await ownRedis(context, durable)
  const fleet = await startFleet(redis, { timing })
  const { redis: connection, keys } = storeOf(redis)
  // BullMQ counts jobs here.
  const counter = `${keys.host('host1')}:host1.start:id`
  await connection.set(counter, 'no number')
  const asked = await fleet.ask('web1')
  expect(asked.status).toBe(202)
  const { waiting } = await until('the operation to say so', async () => {
    const operation = await fleet.operation(asked.body.operation.id)
    return operation.waiting?.reason.includes('cannot be added') && operation
  })
  expect(waiting?.reason).toMatch(/^its job cannot be added to a queue of host host1: ERR value is not an integer/)
  const readiness = await fleet.call('GET', '/readyz')
  expect([readiness.status, readiness.body.reasons]).toEqual([
    503,
    [expect.stringMatching(/^the jobs of 1 operations cannot be added to their queues: ERR value is not an integer/)],
  ])
  await connection.del(counter)
  expect((await fleet.ended(asked)).status).toBe('succeeded')
  await until('the fleet to be ready', async () => (await fleet.call('GET', '/readyz')).status === 200)
  await fleet.stop()
})
