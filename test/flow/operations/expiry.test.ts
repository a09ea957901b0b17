import { expect } from 'vitest'
import { makeDropExpired } from '../../../producer/operations/drop-expired.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { log } from '../../support/fleets/test-producer.ts'
import { shiftClock } from '../../support/hosts/shift-clock.ts'
import { storeOf } from '../../support/redis/open-store.ts'

const days = 24 * 3_600_000

test('an operation that ended more than 30 days ago leaves every list, however many others are kept', async ({
  fleet,
  redis,
}) => {
  const store = storeOf(redis)
  const { redis: connection, keys } = store
  // More than a page of older ones that have not ended.
  const kept = Array.from({ length: 250 }, (_, i) => `00000000-0000-7000-8000-${String(i).padStart(12, '0')}`)
  await fleet.ended(await fleet.ask('web1'))
  const asked = await fleet.call('POST', '/v1/jails/web1/start')
  const { id } = asked.body.operation
  const record = await connection.hgetall(keys.operation(id))
  for (const other of kept) {
    await connection.hset(keys.operation(other), { ...record, id: other })
    await connection.zadd(keys.operations(), 0, other)
  }
  await connection.hset(keys.operation(id), 'finishedAt', new Date(Date.now() - 31 * days).toISOString())

  const dropExpired = makeDropExpired({ ...store, log })
  for (let page = 0; page < 2; page += 1) await dropExpired()
  expect((await fleet.call('GET', `/v1/operations/${id}`)).status).toBe(404)
  const lists = [keys.operations(), keys.operations('jail', 'web1'), keys.operations('status', 'succeeded')]
  expect(await Promise.all(lists.map((list) => connection.zscore(list, id)))).toEqual([null, null, null])
  expect(await connection.zcard(keys.operations())).toBe(251)
  expect(await connection.exists(keys.operation(kept[0] ?? ''))).toBe(1)
})

test('an operation that had nothing to do is kept no longer than others', async ({ fleet, redis }) => {
  await fleet.ended(await fleet.ask('web1'))
  const asked = await fleet.call('POST', '/v1/jails/web1/start')
  const { redis: connection, keys } = storeOf(redis)
  expect(await connection.ttl(keys.operation(asked.body.operation.id))).toBeGreaterThan(0)
})

test('no operation is dropped by a producer whose clock is a month ahead', async ({ fleet, redis }) => {
  const { id } = await fleet.ended(await fleet.ask('web1'))
  shiftClock(31 * days)
  const dropExpired = makeDropExpired({ ...storeOf(redis), log })
  await dropExpired()
  expect(await fleet.operation(id)).toMatchObject({ status: 'succeeded' })
})

test('no operation is dropped while the clock of Redis may be a month ahead', async ({ fleet, redis }) => {
  const { id } = await fleet.ended(await fleet.ask('web1'))
  const store = storeOf(redis)
  const redisAhead = Object.assign(Object.create(store.redis), {
    time: async () => [String(Math.floor((Date.now() + 31 * days) / 1_000)), '0'],
  })
  await makeDropExpired({ ...store, redis: redisAhead, log })()
  expect(await fleet.operation(id)).toMatchObject({ status: 'succeeded' })
})
