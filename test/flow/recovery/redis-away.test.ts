import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startFleet } from '../../support/fleets/fleet.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { ownRedis } from '../../support/redis/own-redis.ts'
import { until } from '../../support/until.ts'

test('a fleet that is up before its Redis does what it accepts', async (context) => {
  const { redis } = await ownRedis(context)
  const fleet = await startFleet(redis)
  expect((await fleet.ended(await fleet.ask('web1'))).status).toBe('succeeded')
  await fleet.stop()
})

test('without Redis every call is refused at once, and services stop all the same', async (context) => {
  const { redis, end } = await ownRedis(context)
  const fleet = await startFleet(redis)
  expect((await fleet.ended(await fleet.ask('web1'))).status).toBe('succeeded')

  await end()
  await sleep(100)
  for (const [method, path] of [
    ['GET', '/v1/jails'],
    ['GET', '/v1/operations/x/events'],
    ['DELETE', '/v1/jails/web1'],
  ] as const) {
    const { status, body, headers } = await fleet.call(method, path)
    expect([path, status, body.code, headers.get('retry-after')]).toEqual([path, 503, 'queue_unavailable', '2'])
  }
  expect((await fleet.ask('web2')).body.code).toBe('queue_unavailable')

  const before = Date.now()
  await fleet.stop()
  expect(Date.now() - before).toBeLessThan(10_000)
})

test('an operation that meets a full Redis waits until there is room', async (context) => {
  const { redis } = await ownRedis(context)
  const fleet = await startFleet(redis)
  const { redis: connection } = storeOf(redis)
  const gate = makeGate()
  fleet.host().before('ensureRoot', gate.wait)
  const asked = await fleet.ask('web1')
  await fleet.host().begins('ensureRoot web1')
  await connection.config('SET', 'maxmemory', '1mb')
  const refused = await fleet.ask('web2')
  expect([refused.status, refused.body.code]).toEqual([503, 'queue_unavailable'])
  gate.open()
  await sleep(1_500)
  await connection.config('SET', 'maxmemory', '0')
  expect((await fleet.ended(asked)).status).toBe('succeeded')
  await fleet.stop()
})

test('a jail whose world was filled while Redis took no writes goes on soon after', async (context) => {
  const { redis } = await ownRedis(context)
  const [asked, gate] = [makeGate(), makeGate()]
  const mirror = createServer(async (_request, response) => {
    asked.open()
    await gate.wait()
    response.end('this is no archive')
  }).listen(0, '127.0.0.1')
  await once(mirror, 'listening')
  const url = `http://127.0.0.1:${(mirror.address() as AddressInfo).port}/base.tar`
  const worlds = [{ name: 'remote', method: 'archive' as const, url, sha256: 'a'.repeat(64), prefill: false }]
  const fleet = await startFleet(redis, { worlds })
  const { redis: connection } = storeOf(redis)
  const accepted = await fleet.ask('web1', { world: 'remote' })
  await asked.wait()
  await until('it to wait', async () => (await fleet.operation(accepted.body.operation.id)).waiting)
  // As with Sentinel while no replica is there.
  await connection.config('SET', 'min-replicas-to-write', '1')
  expect((await fleet.ask('web2')).body.code).toBe('queue_unavailable')
  gate.open()
  await sleep(1_500)
  await connection.config('SET', 'min-replicas-to-write', '0')
  expect(await fleet.ended(accepted)).toMatchObject({ status: 'failed', error: { code: 'checksum_mismatch' } })
  mirror.close()
  await fleet.stop()
})

test('a worker that starts while Redis is full waits until there is room', async (context) => {
  const { redis } = await ownRedis(context)
  const fleet = await startFleet(redis)
  const { redis: connection } = storeOf(redis)
  await fleet.stopHost()
  await connection.config('SET', 'maxmemory', '1mb')
  const started = fleet.startHost('host1')
  await sleep(1_500)
  await connection.config('SET', 'maxmemory', '0')
  await started
  const accepted = await until('a jail to be accepted', async () => {
    const answer = await fleet.ask('web1')
    return answer.status === 202 && answer
  })
  expect((await fleet.ended(accepted)).status).toBe('succeeded')
  await fleet.stop()
})
