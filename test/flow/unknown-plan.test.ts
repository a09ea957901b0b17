import { expect } from 'vitest'
import { redisKeys } from '#shared/keys.ts'
import { connectRedis } from '#shared/redis.ts'
import { toJob } from '../../producer/enqueue.ts'
import { makeRecords } from '../../producer/records.ts'
import { test } from '../support/fleet-test.ts'
import { until } from '../support/until.ts'

test('an operation with a plan that its worker does not know fails, and its jail stays as it is', async ({ fleet, redis }) => {
  await fleet.ended(await fleet.ask('web1'))
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  fleet.host().before('removeJail', () => held)
  // Both slots are taken, so that the job of the third can be put into another version.
  for (const name of ['web2', 'web3']) {
    await fleet.ended(await fleet.ask(name))
    await fleet.call('POST', `/v1/jails/${name}/stop`)
  }
  await until('both slots to be taken', async () => fleet.host().deeds.filter((deed) => /removeJail/.test(deed)).length === 2)
  const asked = await fleet.call('POST', '/v1/jails/web1/restart')
  const { id } = asked.body.operation
  const connection = connectRedis(redis.url, { maxRetriesPerRequest: null })
  const keys = redisKeys(redis.prefix)
  const records = makeRecords(connection, keys)
  const [operation, jail] = [await records.operation(id), await records.jail('web1')]
  if (!operation || !jail) throw new Error('no records')
  const job = `${keys.host('host1')}:host1.stop:${id}-1-restart`
  await connection.hset(job, 'data', JSON.stringify({ ...toJob({ jail, operation }), plan: 99 }))
  release()
  expect(await fleet.ended(asked)).toMatchObject({ status: 'failed', error: { code: 'unknown_plan' } })
  expect(await fleet.jail('web1')).toMatchObject({ state: 'running' })
  connection.disconnect()
})
