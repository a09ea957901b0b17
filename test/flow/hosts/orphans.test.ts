import { expect } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import { type Fleet, startFleet } from '../../support/fleets/fleet.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test as base } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

/** A fleet that has forgotten host1, with its jail web1 an orphan there. */
const test = base.extend<{ fleet: Fleet }>({
  fleet: async ({ redis }, use) => {
    const fleet = await startFleet(redis, { capacity: { builds: 1 } })
    await fleet.ended(await fleet.ask('web1'))
    await fleet.stopHost()
    await fleet.hostIs('host1', 'down')
    await fleet.call('POST', '/v1/hosts/host1/forget')
    await fleet.startHost('host1')
    await until('the orphan to be seen', async () => (await fleet.call('GET', '/v1/hosts/host1')).body.drifts?.length === 1)
    await use(fleet)
    await fleet.stop()
  },
})

const adopt = async (fleet: Fleet) => (await fleet.call('POST', '/v1/hosts/host1/adopt')).body
const clean = (fleet: Fleet) => fleet.call('POST', '/v1/hosts/host1/clean')

test('an orphan that is being destroyed is not adopted, and is destroyed once', async ({ fleet }) => {
  const gate = makeGate()
  fleet.host().before('removeJail', gate.wait)
  const [first, second] = [await clean(fleet), await clean(fleet)]
  expect(second.body.operations.map(({ id }: { id: string }) => id)).toEqual(
    first.body.operations.map(({ id }: { id: string }) => id),
  )
  const [operation] = first.body.operations
  expect(await adopt(fleet)).toEqual({
    adopted: [],
    refused: [{ jail: 'web1', code: 'jail_busy', detail: `Operation ${operation.id} destroys it.` }],
  })
  gate.open()
  expect(await fleet.ended({ ...first, body: { operation } })).toMatchObject({ status: 'succeeded' })
  expect(fleet.host().state()).toEqual({ roots: [], networks: [], jails: [] })
})

test('a dry run of a clean names each orphan, and why it could not go, and destroys none', async ({ fleet }) => {
  const dryRun = () => fleet.call('POST', '/v1/hosts/host1/clean?dryRun=true')
  const orphan = { name: 'web1', client: 'acme', world: 'tiny', addresses: ['10.99.0.2/24'], since: expect.any(String) }
  expect(await dryRun()).toMatchObject({ status: 200, body: { dryRun: true, jails: [orphan] } })
  expect(await fleet.call('POST', '/v1/hosts/host1/clean?dryRun=true', { jails: ['web9'] })).toMatchObject({ status: 404 })
  const gate = makeGate()
  fleet.host().before('ensureRoot', gate.wait)
  await fleet.ask('web2')
  await fleet.host().begins('ensureRoot web2')
  const asked = await fleet.ask('web1')
  const refused = { code: 'jail_busy', detail: expect.stringContaining('at work on another jail called web1') }
  expect((await dryRun()).body.jails).toEqual([{ ...orphan, refused }])
  expect(fleet.host().state().jails).toEqual(['web1'])
  gate.open()
  await fleet.ended(asked)
})

test('the clean of an orphan cannot be retried once that is a jail of the fleet', async ({ fleet }) => {
  fleet.host().before('removeJail', () => {
    throw new ProvostError('command_failed', 'it does not let go')
  })
  const cleaned = await clean(fleet)
  const [operation] = cleaned.body.operations
  expect(await fleet.ended({ ...cleaned, body: { operation } })).toMatchObject({ status: 'failed' })
  fleet.host().clear('removeJail')
  expect(await adopt(fleet)).toEqual({ adopted: ['web1'], refused: [] })
  expect(await fleet.call('POST', `/v1/operations/${operation.id}/retry`)).toMatchObject({
    status: 409,
    body: { code: 'not_retryable' },
  })
  expect(fleet.host().state().jails).toEqual(['web1'])
})

test('an orphan is not cleaned while a jail of its name is made on its host', async ({ fleet }) => {
  const gate = makeGate()
  fleet.host().before('ensureRoot', gate.wait)
  await fleet.ask('web2')
  await fleet.host().begins('ensureRoot web2')
  const asked = await fleet.ask('web1')
  expect(await clean(fleet)).toMatchObject({ status: 409, body: { code: 'jail_busy' } })
  gate.open()
  expect(await fleet.ended(asked)).toMatchObject({ status: 'failed', error: { code: 'journal_conflict' } })
})

test('a host that is back is not forgotten by a producer that has not seen it yet', async ({ redis }) => {
  const fleet = await startFleet(redis)
  await fleet.ended(await fleet.ask('web1'))
  await fleet.stopHost()
  await fleet.hostIs('host1', 'down')
  const { redis: connection, keys } = storeOf(redis)
  await connection.set(keys.hostAlive('host1'), 'its worker', 'PX', 10_000)
  const forgotten = await fleet.call('POST', '/v1/hosts/host1/forget', { poweredOff: true })
  expect(forgotten).toMatchObject({ status: 409, body: { code: 'host_up' } })
  expect(await fleet.jail('web1')).toMatchObject({ state: 'running' })
  await fleet.stop()
})
