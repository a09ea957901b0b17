import { expect } from 'vitest'
import { planVersion } from '#shared/job.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { until } from '../../support/until.ts'

const older = [planVersion - 1]

test('an operation with a plan that its worker does not know waits for one that does', async ({ fleet, redis }) => {
  await fleet.ended(await fleet.ask('web1'))
  await fleet.stopHost()
  const asked = await fleet.call('POST', '/v1/jails/web1/restart')
  const { id } = asked.body.operation
  const deeds = [...fleet.host().deeds]

  await fleet.startHost('host1', older)
  const { redis: connection, keys } = storeOf(redis)
  const delayed = `${keys.host('host1')}:host1.stop:delayed`
  await until('its job to have been put back', async () => (await connection.zcard(delayed)) === 1)
  const reason = `the worker of host host1 does not know plans of version ${planVersion}`
  await until('it to say why it waits', async () => (await fleet.operation(id)).waiting?.reason === reason)
  expect((await fleet.operation(id)).status).toBe('queued')
  // Nothing new is placed on it, either.
  expect(await fleet.ask('web2')).toMatchObject({ status: 409, body: { code: 'no_suitable_host' } })
  expect(fleet.host().deeds.filter((deed) => /removeJail/.test(deed))).toEqual([])

  await fleet.stopHost()
  await fleet.startHost('host1')
  expect((await fleet.ended(asked)).status).toBe('succeeded')
  expect(fleet.host().deeds.slice(deeds.length)).toContain('removeJail web1')
})

test('an operation that waits for a newer worker can be cancelled', async ({ fleet, redis }) => {
  await fleet.ended(await fleet.ask('web1'))
  await fleet.stopHost()
  const asked = await fleet.call('POST', '/v1/jails/web1/restart')
  await fleet.startHost('host1', older)
  const { redis: connection, keys } = storeOf(redis)
  const delayed = `${keys.host('host1')}:host1.stop:delayed`
  await until('its job to have been put back', async () => (await connection.zcard(delayed)) === 1)
  await fleet.call('POST', `/v1/operations/${asked.body.operation.id}/cancel`)
  expect((await fleet.ended(asked)).status).toBe('cancelled')
  expect(await fleet.jail('web1')).toMatchObject({ state: 'running' })
})

test('a worker that knows a later plan as well does what an older producer asks', async ({ fleet }) => {
  await fleet.stopHost()
  await fleet.startHost('host1', [planVersion, planVersion + 1])
  expect(await fleet.ended(await fleet.ask('web1'))).toMatchObject({ status: 'succeeded' })
})
