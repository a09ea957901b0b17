import { describe, expect, onTestFinished } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import { type Fleet, startFleet } from '../../support/fleets/fleet.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { type TestRedis, test } from '../../support/redis/redis-test.ts'
import { csv, csvOf } from '../../support/samples/batch-file.ts'
import { until } from '../../support/until.ts'

async function started(redis: TestRedis, settings: Parameters<typeof startFleet>[1] = {}): Promise<Fleet> {
  const fleet = await startFleet(redis, settings)
  onTestFinished(() => fleet.stop())
  return fleet
}

const post = async (fleet: Fleet, file: string, query = ''): Promise<string> => {
  const { body } = await fleet.postBatch(csv, file, query)
  if (!body.batch) throw new Error(JSON.stringify(body))
  return body.batch.id
}
const fails = () => {
  throw new ProvostError('command_failed', 'no')
}

describe('a row for one host', () => {
  test('waits while that host has enough to do', async ({ redis }) => {
    const fleet = await started(redis, { hosts: ['host1', 'host2'] })
    const gate = makeGate()
    fleet.host('host1').before('ensureRoot', gate.wait)
    const file = ['name,client,world,host', ...Array.from({ length: 40 }, (_, i) => `row${i},acme,tiny,host1`)].join('\n')
    const id = await post(fleet, file)
    await until('host1 to have what it may', async () => (await fleet.call('GET', '/v1/hosts/host1')).body.operations >= 8)
    const { redis: connection, keys } = storeOf(redis)
    await until(
      'others to wait',
      async () => (await connection.zcard(keys.batchDeferred(id))) > 0 || (await connection.hlen(keys.batchRefused(id))) > 0,
    )
    gate.open()
    expect(await fleet.batchEnded(id, 30_000)).toMatchObject({ status: 'succeeded', counts: { succeeded: 40 }, causes: [] })
  })
})

describe('a batch', () => {
  test('says that it waits for hosts when none is there', async ({ redis }) => {
    const fleet = await started(redis)
    await fleet.stopHost()
    const id = await post(fleet, csvOf(1))
    const { reason } = await fleet.batchIs(id, 'a reason', ({ reason }) => reason !== undefined, 15_000)
    expect(reason).toMatch(/host host1 is down/)
  })

  test('gives up on the failures that cannot be tried again, and tries the others', async ({ redis }) => {
    const fleet = await started(redis)
    fleet.host().before('ensureRoot', fails)
    const id = await post(fleet, csvOf(3), '?maxInFlight=1')
    await fleet.batchEnded(id)
    await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))
    fleet.host().clear('ensureRoot')
    await fleet.call('POST', `/v1/batches/${id}/retry`)
    expect(await fleet.batchEnded(id)).toMatchObject({ status: 'failed', counts: { succeeded: 2, failed: 1 } })
  })

  test('tries again no more at a time than it may have in flight', async ({ redis }) => {
    const fleet = await started(redis)
    fleet.host().before('ensureRoot', fails)
    const id = await post(fleet, csvOf(8), '?maxInFlight=2')
    await fleet.batchEnded(id)
    const gate = makeGate()
    fleet.host().before('ensureRoot', gate.wait)
    await fleet.call('POST', `/v1/batches/${id}/retry`)
    await fleet.batchIs(id, 'some to run', ({ counts }) => counts.queued + counts.running >= 2)
    const { redis: connection, keys } = storeOf(redis)
    const untilMs = Date.now() + 1_000
    await until(
      'all to be tried again',
      async () => Date.now() > untilMs || !(await connection.hexists(keys.batch(id), 'retryCause')),
    )
    const { counts } = await fleet.batch(id)
    gate.open()
    expect(counts.queued + counts.running).toBe(2)
    fleet.host().clear('ensureRoot')
    expect(await fleet.batchEnded(id)).toMatchObject({ status: 'succeeded', counts: { succeeded: 8 } })
  })

  test('that was cancelled ends after a retry, also of rows that were refused', async ({ redis }) => {
    const fleet = await started(redis)
    const { redis: connection, keys } = storeOf(redis)
    const gate = makeGate()
    fleet.host().before('ensureRoot', gate.wait)
    const id = await post(fleet, csvOf(4), '?maxInFlight=1')
    await fleet.batchIs(id, 'one to run', ({ counts }) => counts.running === 1)
    // Another jail got the name, as with a claim that was lost.
    await connection.hdel(keys.claims, 'web2')
    const other = await fleet.ask('web2', { client: 'other' })
    gate.open()
    await fleet.ended(other)
    await fleet.batchIs(id, 'a row to be refused', ({ counts }) => counts.failed === 1)
    await fleet.call('POST', `/v1/batches/${id}/cancel`)
    await fleet.batchEnded(id)
    await fleet.ended(await fleet.call('DELETE', '/v1/jails/web2'))
    await fleet.call('POST', `/v1/batches/${id}/retry`)
    expect((await fleet.batchEnded(id)).counts.failed).toBe(0)
  })
})

describe('a batch that Redis has lost', () => {
  test('is not there, whatever becomes of an operation of it', async ({ redis }) => {
    const fleet = await started(redis)
    const { redis: connection, keys } = storeOf(redis)
    const id = await post(fleet, csvOf(1))
    await fleet.batchEnded(id)
    await connection.del(keys.batch(id))
    // What a recovered operation of it does when it ends.
    await connection.hincrby(keys.batch(id), 'running', -1)
    expect((await fleet.call('GET', `/v1/batches/${id}`)).status).toBe(404)
    expect((await fleet.call('GET', '/v1/batches')).status).toBe(200)
  })
})
