import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { until } from '../../support/until.ts'

const clean = { roots: [], networks: [], jails: [] }

describe('a cancel', () => {
  test('ends the step that runs, undoes what was done, and removes the jail', async ({ fleet }) => {
    fleet.host().before('ensureJail', (_jail, signal) => sleep(60_000, undefined, { signal }))
    const asked = await fleet.ask('web1')
    await fleet.host().begins('ensureJail web1')
    const cancelled = await fleet.call('POST', `/v1/operations/${asked.body.operation.id}/cancel`)
    expect(cancelled.status).toBe(202)
    const operation = await fleet.ended(asked)
    expect(operation).toMatchObject({ status: 'cancelled', error: { code: 'cancelled', step: 'start-jail' } })
    expect(fleet.host().state()).toEqual(clean)
    expect((await fleet.call('GET', '/v1/jails/web1')).status).toBe(404)

    const again = await fleet.call('POST', `/v1/operations/${operation.id}/cancel`)
    expect([again.status, again.body.operation]).toEqual([200, operation])
  })

  test('of an operation whose job still waits takes effect without waiting for its turn', async ({ fleet }) => {
    fleet.host().before('ensureRoot', (jail, signal) => (jail.name === 'web3' ? undefined : sleep(60_000, undefined, { signal })))
    const ahead = [await fleet.ask('web1'), await fleet.ask('web2')]
    await until('both build slots to be taken', async () => fleet.host().deeds.length === 2)
    const waiting = await fleet.ask('web3')
    await fleet.call('POST', `/v1/operations/${waiting.body.operation.id}/cancel`)
    expect((await fleet.ended(waiting)).status).toBe('cancelled')
    for (const answer of ahead) await fleet.call('POST', `/v1/operations/${answer.body.operation.id}/cancel`)
    for (const answer of ahead) expect((await fleet.ended(answer)).status).toBe('cancelled')
    expect(fleet.host().deeds.filter((deed) => deed.startsWith('ensure'))).toHaveLength(2)
    expect(fleet.host().state()).toEqual(clean)
  })

  test('whose notice was missed takes effect within the step that runs', async ({ fleet, redis }) => {
    fleet.host().before('ensureJail', (_jail, signal) => sleep(60_000, undefined, { signal }))
    const asked = await fleet.ask('web1')
    await fleet.host().begins('ensureJail web1')
    const { redis: connection, keys } = storeOf(redis)
    await connection.hset(keys.operation(asked.body.operation.id), 'cancelRequested', '1')
    expect((await fleet.ended(asked)).status).toBe('cancelled')
    expect(fleet.host().state()).toEqual(clean)
  })

  test('frees the name, and the cancelled provision can be admitted again', async ({ fleet }) => {
    fleet.host().before('ensureRoot', (_jail, signal) => sleep(60_000, undefined, { signal }))
    const asked = await fleet.ask('web1', { labels: { order: '17' } })
    const { id } = asked.body.operation
    await fleet.call('POST', `/v1/operations/${id}/cancel`)
    await fleet.ended(asked)
    fleet.host().clear('ensureRoot')
    const retried = await fleet.call('POST', `/v1/operations/${id}/retry`)
    expect([retried.status, retried.body.operation.id, retried.body.operation.attempt]).toEqual([202, id, 2])
    expect(await fleet.ended(retried)).toMatchObject({ id, status: 'succeeded', attempt: 2 })
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running', labels: { order: '17' }, lastOperation: id })
  })

  test('of a stop or a destroy that runs is refused', async ({ fleet }) => {
    await fleet.ended(await fleet.ask('web1'))
    const gate = makeGate()
    fleet.host().before('removeJail', gate.wait)
    const stop = await fleet.call('POST', '/v1/jails/web1/stop')
    await until('the stop to run', async () => (await fleet.operation(stop.body.operation.id)).status === 'running')
    const refused = await fleet.call('POST', `/v1/operations/${stop.body.operation.id}/cancel`)
    expect([refused.status, refused.body.code]).toEqual([409, 'not_cancellable'])
    gate.open()
    expect((await fleet.ended(stop)).status).toBe('succeeded')
  })

  test('of a restart leaves the jail stopped once it was taken down', async ({ fleet }) => {
    await fleet.ended(await fleet.ask('web1'))
    fleet.host().before('proveIsolation', (_jail, signal) => sleep(60_000, undefined, { signal }))
    const restart = await fleet.call('POST', '/v1/jails/web1/restart')
    await until('it to be up again', async () => fleet.host().deeds.filter((deed) => deed === 'proveIsolation web1').length === 2)
    await fleet.call('POST', `/v1/operations/${restart.body.operation.id}/cancel`)
    expect((await fleet.ended(restart)).status).toBe('cancelled')
    expect(await fleet.jail('web1')).toMatchObject({ state: 'stopped', jid: null })
  })
})

describe('DELETE of a jail that is being provisioned', () => {
  test('cancels the provision, then destroys the jail', async ({ fleet }) => {
    fleet.host().before('ensureNetwork', (_jail, signal) => sleep(60_000, undefined, { signal }))
    const asked = await fleet.ask('web1')
    await fleet.host().begins('ensureNetwork web1')
    const deleted = await fleet.call('DELETE', '/v1/jails/web1')
    expect([deleted.status, deleted.body.operation.kind]).toEqual([202, 'destroy'])
    expect((await fleet.ended(deleted)).status).toBe('succeeded')
    expect((await fleet.ended(asked)).status).toBe('cancelled')
    expect((await fleet.call('GET', '/v1/jails/web1')).status).toBe(404)
    expect(fleet.host().state()).toEqual(clean)
    fleet.host().clear('ensureNetwork')
    expect((await fleet.ended(await fleet.ask('web1'))).status).toBe('succeeded')
  })

  test('of one whose jobs still wait does so without waiting for their turn', async ({ fleet }) => {
    const gate = makeGate()
    fleet.host().before('ensureRoot', gate.wait)
    const ahead = [await fleet.ask('web1'), await fleet.ask('web2')]
    const waiting = await fleet.ask('web3')
    expect((await fleet.ended(await fleet.call('DELETE', '/v1/jails/web3'))).status).toBe('succeeded')
    expect((await fleet.ended(waiting)).status).toBe('cancelled')
    gate.open()
    for (const answer of ahead) expect((await fleet.ended(answer)).status).toBe('succeeded')
    expect(fleet.host().state().jails).toEqual(['web1', 'web2'])
  })

  test('that fails to remove anything leaves it destroying, with its leases, until a retry', async ({ fleet }) => {
    await fleet.ended(await fleet.ask('web1'))
    fleet.host().before('removeRoot', () => {
      throw new ProvostError('command_failed', 'busy for good')
    })
    const failed = await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))
    expect(failed).toMatchObject({ status: 'failed', error: { step: 'remove-root' } })
    expect(await fleet.jail('web1')).toMatchObject({ state: 'destroying', addresses: ['10.99.0.2/24'] })
    expect((await fleet.call('POST', '/v1/jails/web1/start')).body.code).toBe('jail_failed')
    fleet.host().clear('removeRoot')
    expect((await fleet.ended(await fleet.call('POST', `/v1/operations/${failed.id}/retry`))).status).toBe('succeeded')
    expect((await fleet.call('GET', '/v1/jails/web1')).status).toBe(404)
  })
})
