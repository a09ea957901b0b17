import { expect } from 'vitest'
import { startFleet } from '../../support/fleets/fleet.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test } from '../../support/redis/redis-test.ts'

const pools = [{ name: 'four', cidr: '10.96.0.0/16', exclude: [] }]

test('an address that is asked for again and again is noted as given back only once, and a refusal notes none', async ({
  redis,
}) => {
  const fleet = await startFleet(redis, { pools })
  const { redis: connection, keys } = storeOf(redis)
  const returned = keys.returned('10.96.0.0/16')
  for (let i = 0; i < 3; i += 1) {
    await fleet.ended(await fleet.ask('web1', { addresses: ['10.96.7.7'] }))
    await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))
  }
  expect(await connection.lrange(returned, 0, -1)).toEqual(['10.96.7.7'])

  await fleet.ended(await fleet.ask('web1', { addresses: ['10.96.7.7'] }))
  for (let i = 0; i < 3; i += 1)
    expect((await fleet.ask('web2', { addresses: ['10.96.8.8', '10.96.7.7'] })).body.code).toBe('address_taken')
  expect(await connection.lrange(returned, 0, -1)).toEqual(['10.96.7.7'])
  await fleet.stop()
})

test('addresses are given out again once many were given back, though there are new ones', async ({ redis }) => {
  const fleet = await startFleet(redis, { pools })
  const { redis: connection, keys } = storeOf(redis)
  const first = (await fleet.ask('web1')).body.jail.addresses
  expect(first).toEqual(['10.96.0.1/16'])
  const many = Array.from({ length: 10_001 }, (_, i) => `10.96.${100 + Math.floor(i / 256)}.${i % 256}`)
  await connection.rpush(keys.returned('10.96.0.0/16'), ...many)
  const asked = [await fleet.ask('web2'), await fleet.ask('web3')]
  expect(asked.flatMap(({ body }) => body.jail.addresses)).toEqual(['10.96.100.0/16', '10.96.0.2/16'])
  await fleet.stop()
})
