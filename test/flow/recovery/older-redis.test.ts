import { expect } from 'vitest'
import { scaledTiming } from '#shared/process/timing.ts'
import { makeJudgeAge } from '../../../producer/recovery/older-redis.ts'
import { makeClient } from '../../support/fleets/client.ts'
import { type Fleet, startFleet } from '../../support/fleets/fleet.ts'
import { startTestProducer } from '../../support/fleets/test-producer.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { type TestRedis, test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'
import { silent } from '../../worker/samples.ts'

const timing = scaledTiming(0.2)

const recovery = async (fleet: Fleet) => (await fleet.call('GET', '/v1/recover')).body

/** Copies all that Redis has of a fleet. Returns what puts it back as it was, at once, as a restored backup does. */
async function backUp(at: TestRedis): Promise<() => Promise<void>> {
  const { redis } = storeOf(at)
  const keysNow = () => redis.keys(`${at.prefix}:*`)
  const copies: [key: string, ttlMs: number, value: Buffer][] = []
  for (const key of await keysNow()) {
    const [ttlMs, value] = [await redis.pttl(key), await redis.dumpBuffer(key)]
    if (value) copies.push([key, Math.max(0, ttlMs), value])
  }
  return async () => {
    const change = redis.multi().unlink(...(await keysNow()))
    for (const [key, ttlMs, value] of copies) change.restore(key, ttlMs, value, 'REPLACE')
    await change.exec()
  }
}

async function ledger(at: TestRedis) {
  const { redis, keys } = storeOf(at)
  const [leases, promised] = await Promise.all([redis.hgetall(keys.leases), redis.hgetall(keys.promised('host1'))])
  return { leases, promised }
}

async function epochOf(at: TestRedis): Promise<number> {
  const { redis, keys } = storeOf(at)
  return Number(await redis.get(keys.epoch))
}

const shown = async (fleet: Fleet) => {
  const { items } = (await fleet.call('GET', '/v1/jails')).body
  return items.map(({ name, state, jid, epoch, addresses, lastOperation }: Record<string, unknown>) => {
    return { name, state, jid, epoch, addresses, lastOperation }
  })
}

test('a Redis that is older than its hosts is brought up to what they have done since', async ({ redis }) => {
  const fleet = await startFleet(redis, { timing })
  for (const name of ['kept', 'gone', 'again']) await fleet.ended(await fleet.ask(name))
  const restore = await backUp(redis)
  const { fleet: id } = await recovery(fleet)

  await fleet.ended(await fleet.call('POST', '/v1/jails/kept/restart'))
  const destroyed = await fleet.ended(await fleet.call('DELETE', '/v1/jails/gone'))
  await fleet.ended(await fleet.call('DELETE', '/v1/jails/again'))
  await fleet.ended(await fleet.ask('again', { client: 'another' }))
  await fleet.ended(await fleet.ask('later'))
  const before = { jails: await shown(fleet), ledger: await ledger(redis), epoch: await epochOf(redis) }

  await restore()
  // Whether it is noticed yet or not.
  expect((await fleet.ask('early')).status).toBe(503)
  await until('the fleet to be recovered', async () => {
    const now = await recovery(fleet)
    return now.fleet !== id && now.state === 'normal'
  })
  expect({ jails: await shown(fleet), ledger: await ledger(redis) }).toEqual({ jails: before.jails, ledger: before.ledger })
  expect(await fleet.jail('again')).toMatchObject({ client: 'another' })
  expect((await fleet.call('GET', '/v1/jails/gone')).status).toBe(404)
  expect(await fleet.operation(destroyed.id)).toMatchObject({ kind: 'destroy', status: 'succeeded' })

  const fresh = await fleet.ask('fresh')
  expect(fresh.body.jail.epoch).toBeGreaterThan(before.epoch)
  expect(fleet.host().addresses()).not.toContain(fresh.body.jail.addresses[0])
  expect((await fleet.ended(fresh)).status).toBe('succeeded')
  for (const name of ['kept', 'again', 'later', 'fresh'])
    expect((await fleet.ended(await fleet.call('DELETE', `/v1/jails/${name}`))).status).toBe('succeeded')
  expect(fleet.host().state()).toEqual({ roots: [], networks: [], jails: [] })
  expect((await ledger(redis)).leases).toEqual({})
  await fleet.stop()
})

test('a Redis that has lost the last epochs accepts nothing until hosts have said what they have done', async ({ redis }) => {
  const fleet = await startFleet(redis, { timing })
  await fleet.ended(await fleet.ask('web1'))
  const { redis: connection, keys } = storeOf(redis)
  const epoch = await epochOf(redis)
  await connection.incrby(keys.epoch, 50)
  await until('the producer to have seen it', async () => (await fleet.call('POST', '/v1/recover')).status === 200)
  await connection.set(keys.epoch, epoch)
  const refused = await until('it to be noticed', async () => {
    const answer = await fleet.call('POST', '/v1/jails/web1/restart')
    return answer.status === 503 && answer
  })
  expect(refused.body.detail).toContain('Redis is older than it was a moment ago')
  const asked = await until('it to be over', async () => {
    const answer = await fleet.ask('web2')
    return answer.status === 202 && answer
  })
  expect(asked.body.jail.epoch).toBeGreaterThan(epoch + 50)
  await fleet.stop()
})

test('leases, promises and the epoch that are lost alone are made anew from the records', async ({ redis }) => {
  const fleet = await startFleet(redis, { timing })
  for (const name of ['web1', 'web2']) await fleet.ended(await fleet.ask(name, { limits: { memory: '128M', cpu: 0.25 } }))
  const { redis: connection, keys } = storeOf(redis)
  const [before, epoch, { fleet: id }] = [await ledger(redis), await epochOf(redis), await recovery(fleet)]

  await connection.del(keys.promised('host1'))
  await until('promises to be back', async () => (await ledger(redis)).promised['jails'] === '2')
  expect(await ledger(redis)).toEqual(before)

  await connection.del(keys.epoch)
  await until('the epoch to be back', async () => (await epochOf(redis)) >= epoch)
  expect((await recovery(fleet)).fleet).toBe(id)

  await connection.del(keys.leases)
  // Whether it is noticed yet or not: no address that a jail has is given out.
  const asked = await until('a jail to be accepted', async () => {
    const answer = await fleet.ask('web3')
    return answer.status === 202 && answer
  })
  expect(Object.keys(before.leases)).not.toContain(asked.body.jail.addresses[0].split('/')[0])
  expect((await ledger(redis)).leases).toMatchObject(before.leases)
  await fleet.stop()
})

test('leases that are lost with their count are made anew from the records', async ({ redis }) => {
  const fleet = await startFleet(redis, { timing })
  await fleet.ended(await fleet.ask('web1'))
  const { redis: connection, keys } = storeOf(redis)
  const before = await ledger(redis)
  await connection.del(keys.leases, `${keys.leases}:count`)
  const [address] = (await fleet.jail('web1'))?.addresses ?? []
  expect((await fleet.ask('web2', { addresses: [address] })).status).not.toBe(202)
  const asked = await until('a jail to be accepted', async () => {
    const answer = await fleet.ask('web3')
    return answer.status === 202 && answer
  })
  expect(asked.body.jail.addresses).not.toContain(address)
  expect((await ledger(redis)).leases).toMatchObject(before.leases)
  await fleet.stop()
})

test('returned addresses that are lost alone are given out again', async ({ redis }) => {
  const fleet = await startFleet(redis, { timing, pools: [{ name: 'small', cidr: '10.96.0.0/29', exclude: [] }] })
  const names = ['web1', 'web2', 'web3', 'web4', 'web5', 'web6']
  const takeAll = async () => {
    const asked = []
    for (const name of names) asked.push((await fleet.ask(name)).body.jail?.addresses[0])
    return asked.sort()
  }
  const all = names.map((_, i) => `10.96.0.${i + 1}/29`)
  expect(await takeAll()).toEqual(all)
  for (const name of names) await fleet.ended(await fleet.call('DELETE', `/v1/jails/${name}`))
  const { redis: connection, keys } = storeOf(redis)
  await connection.del(keys.returned('10.96.0.0/29'))
  expect(await takeAll()).toEqual(all)
  expect((await fleet.ask('more')).body.code).toBe('no_free_address')
  await fleet.call('DELETE', '/v1/jails/web2')
  await until('its address to be given out', async () => (await fleet.ask('more')).status === 202)
  expect((await fleet.jail('more'))?.addresses).toEqual(['10.96.0.2/29'])

  await connection.del(keys.pool('10.96.0.0/29'))
  expect((await fleet.ask('again')).body.code).toBe('no_free_address')
  await fleet.stop()
})

test('no operation gets an epoch of a Redis that has lost the epoch', async ({ redis }) => {
  const fleet = await startFleet(redis, { timing })
  await fleet.ended(await fleet.ask('web1'))
  const { redis: connection, keys } = storeOf(redis)
  const epoch = await epochOf(redis)
  await connection.del(keys.epoch)
  const asked = await until('a restart to be accepted', async () => {
    const answer = await fleet.call('POST', '/v1/jails/web1/restart')
    expect([202, 503]).toContain(answer.status)
    return answer.status === 202 && answer
  })
  expect(asked.body.jail.epoch).toBeGreaterThan(epoch)
  expect(await fleet.ended(asked)).toMatchObject({ status: 'succeeded' })
  await fleet.stop()
})

test('a host that has seen more than Redis closes its admission with its first beat', async ({ redis }) => {
  const { redis: connection, keys, ...store } = storeOf(redis)
  await connection.set(keys.epoch, 7)
  let epoch = 7
  const hosts = { all: () => [], highestEpoch: () => epoch }
  const age = makeJudgeAge({ ...store, redis: connection, keys, hosts, members: [], timing, log: silent })
  expect(await age.judge('fleet1')).toBe('same')
  expect(age.seenEpoch()).toBe(7)
  // Between two looks: the producer may know the beat, and take the host for one that is up, before it compares epochs.
  epoch = 9
  expect(age.seenEpoch()).toBe(9)
  expect(await age.judge('fleet1')).toBe('older')
})

test('a producer that is started with an older Redis accepts nothing before its hosts are compared', async ({ redis }) => {
  const fleet = await startFleet(redis, { timing })
  await fleet.ended(await fleet.ask('web1'))
  const restore = await backUp(redis)
  await fleet.ended(await fleet.ask('web2'))
  const [taken] = (await fleet.jail('web2'))?.addresses ?? []
  await fleet.stopProducer()
  await restore()
  await storeOf(redis).redis.del(storeOf(redis).keys.hostAlive('host1'))
  const producer = await startTestProducer(redis, timing)
  const client = makeClient(producer.url)
  const asked = await until('a jail to be accepted', async () => {
    const answer = await client.ask('web3')
    return answer.status === 202 && answer
  })
  expect(asked.body.jail.addresses).not.toContain(taken)
  expect((await client.ended(asked)).status).toBe('succeeded')
  expect(await client.jail('web2')).toMatchObject({ state: 'running', addresses: [taken] })
  await producer.stop()
  await fleet.stop()
})

test("the address of an orphan is nobody else's until it is adopted", async ({ redis }) => {
  const fleet = await startFleet(redis, { timing })
  await fleet.ended(await fleet.ask('web1'))
  const [address] = (await fleet.jail('web1'))?.addresses ?? []
  const bare = address?.split('/')[0] ?? ''
  await fleet.stopHost()
  await fleet.hostIs('host1', 'down')
  // They were wrong about that.
  await fleet.call('POST', '/v1/hosts/host1/forget', { poweredOff: true })
  expect((await ledger(redis)).leases).toEqual({})
  await fleet.startHost('host1')
  await until('its address to be held', async () => (await ledger(redis)).leases[bare] === 'forgotten:host1')

  const refused = await fleet.ask('web2', { addresses: [address] })
  expect([refused.status, refused.body.code]).toEqual([409, 'address_taken'])
  expect((await fleet.call('POST', '/v1/hosts/host1/adopt')).body.adopted).toEqual(['web1'])
  expect((await ledger(redis)).leases).toEqual({ [bare]: 'web1' })
  await fleet.stop()
})
