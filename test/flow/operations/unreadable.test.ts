import { describe, expect } from 'vitest'
import { scaledTiming } from '#shared/process/timing.ts'
import { withSignature } from '#shared/signing/signatures.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { testSecrets } from '../../support/fleets/test-producer.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { type TestRedis, test as withRedis } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

/** Redis itself, and the keys of this test. */
function open(redis: TestRedis) {
  const { redis: connection, keys } = storeOf(redis)
  const jobKey = (queue: string, id: string, wakeup: number, job: string) =>
    `${keys.host('host1')}:host1.${queue}:${id}-${wakeup}-${job}`
  return { connection, keys, jobKey }
}

/** As a producer of another version would have signed it. */
const signed = ({ signature: _, ...job }: { signature: string }) => withSignature('job', job, testSecrets.signer)

describe('a job that cannot be read', () => {
  test('ends its operation, if it can be told which one that is', async ({ fleet, redis }) => {
    const { connection, jobKey } = open(redis)
    await fleet.ended(await fleet.ask('web1'))
    const before = await fleet.jail('web1')
    await fleet.stopHost()
    const asked = await fleet.call('POST', '/v1/jails/web1/restart')
    const { id } = asked.body.operation
    const key = jobKey('stop', id, 1, 'restart')
    const data = JSON.parse((await connection.hget(key, 'data')) ?? '')
    await connection.hset(key, 'data', JSON.stringify(signed({ ...data, jail: { ...data.jail, addresses: ['nowhere'] } })))
    const deeds = [...fleet.host().deeds]
    await fleet.startHost('host1')
    expect(await fleet.ended(asked)).toMatchObject({
      status: 'failed',
      error: { code: 'unreadable_job', message: expect.stringContaining('addresses') },
    })
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running', jid: before?.jid })
    expect(fleet.host().deeds.filter((deed) => /remove/.test(deed))).toEqual(deeds.filter((deed) => /remove/.test(deed)))
    // What becomes of it after the refusal is heard as before.
    fleet.host().byHand.stop('web1')
    await until('it to be known', async () => (await fleet.jail('web1'))?.state === 'stopped')
    const retried = await fleet.call('POST', `/v1/operations/${id}/retry`)
    expect(await fleet.ended(retried)).toMatchObject({ status: 'succeeded', attempt: 2 })
  })

  test('undoes what its host has begun of the operation', async ({ fleet, redis }) => {
    const { connection, jobKey } = open(redis)
    const gate = makeGate()
    fleet.host().before('ensureNetwork', gate.wait)
    const asked = await fleet.ask('web1')
    await fleet.host().begins('ensureNetwork web1')
    const key = jobKey('start', asked.body.operation.id, 1, 'start')
    const data = JSON.parse((await connection.hget(key, 'data')) ?? '')
    await connection.hset(key, 'data', JSON.stringify(signed({ ...data, plan: 'another' })))
    const stopped = fleet.stopHost()
    gate.open()
    await stopped
    await fleet.startHost('host1')
    expect(await fleet.ended(asked)).toMatchObject({ status: 'failed', error: { code: 'unreadable_job' } })
    expect(fleet.host().state()).toEqual({ roots: [], networks: [], jails: [] })
  })

  withRedis('of which nobody can tell whose it is is put in five times, then its operation fails', async ({ redis }) => {
    const fleet = await startFleet(redis, { timing: scaledTiming(0.05) })
    const { connection, keys, jobKey } = open(redis)
    await fleet.ended(await fleet.ask('web1'))
    await fleet.stopHost()
    const asked = await fleet.call('POST', '/v1/jails/web1/restart')
    const { id } = asked.body.operation
    for (let wakeup = 1; wakeup <= 5; wakeup += 1) {
      const key = jobKey('stop', id, wakeup, 'restart')
      await until(`wake-up ${wakeup}`, async () => (await connection.exists(key)) === 1)
      // What BullMQ makes of a job that a worker fails.
      await connection.hset(key, 'finishedOn', Date.now(), 'failedReason', 'The job cannot be read: no operation')
    }
    const operation = await fleet.ended(asked)
    expect(operation).toMatchObject({
      status: 'failed',
      error: { code: 'unreadable_job', message: expect.stringContaining('has failed 5 times on host host1') },
    })
    expect(operation.error?.message).toContain('The job cannot be read: no operation')
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running' })
    expect(await connection.hget(keys.operation(id), 'wakeup')).toBe('5')
    const retried = await fleet.call('POST', `/v1/operations/${id}/retry`)
    await fleet.startHost('host1')
    expect(await fleet.ended(retried)).toMatchObject({ status: 'succeeded', attempt: 2 })
    await fleet.stop()
  })
})

test('a record that cannot be read is left out of lists, and hides no other', async ({ fleet, redis }) => {
  const { connection, keys } = open(redis)
  const [first, second] = [await fleet.ask('web1'), await fleet.ask('web2')]
  for (const asked of [first, second]) await fleet.ended(asked)
  await connection.hset(keys.jail('web1'), 'leases', 'none')
  await connection.hset(keys.operation(first.body.operation.id), 'steps', '[{}]')
  const jails = await fleet.call('GET', '/v1/jails')
  expect([jails.status, jails.body.items.map(({ name }: { name: string }) => name)]).toEqual([200, ['web2']])
  const operations = await fleet.call('GET', '/v1/operations')
  expect([operations.status, operations.body.items.map(({ id }: { id: string }) => id)]).toEqual([
    200,
    [second.body.operation.id],
  ])
  expect((await fleet.ask('web1')).body.code).toBe('name_taken')
})
