import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { toJob } from '../../../producer/queues/enqueue.ts'
import { sendNotice } from '../../../producer/queues/send-notice.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { until } from '../../support/until.ts'

describe('a cancel', () => {
  test('of a destroy that has begun before its record says so changes nothing', async ({ fleet, redis }) => {
    await fleet.ended(await fleet.ask('web1'))
    const begun = makeGate()
    fleet.host().before('removeJail', async (_jail, signal) => {
      begun.open()
      await sleep(500, undefined, { signal })
    })
    const destroy = await fleet.call('DELETE', '/v1/jails/web1')
    await begun.wait()
    // The notice of a cancel that was accepted a moment before the first report was applied.
    const store = storeOf(redis)
    const { redis: connection, keys, records } = store
    const jail = await records.jail('web1')
    const operation = await records.operation(destroy.body.operation.id)
    if (!jail || !operation) throw new Error('no records')
    await connection.hset(keys.operation(operation.id), 'cancelRequested', '1')
    await sendNotice(store, 'host1', { type: 'cancel', job: toJob({ jail, operation }), name: 'destroy' })
    expect((await fleet.ended(destroy)).status).toBe('succeeded')
    expect((await fleet.call('GET', '/v1/jails/web1')).status).toBe(404)
  })

  test('of a destroy that has cancelled a provision already is refused', async ({ fleet }) => {
    const ahead = ['web1', 'web2']
    for (const name of ahead) await fleet.ended(await fleet.ask(name))
    const gate = makeGate()
    fleet.host().before('removeJail', ({ name }) => (ahead.includes(name) ? gate.wait() : undefined))
    for (const name of ahead) await fleet.call('POST', `/v1/jails/${name}/stop`)
    await until('both slots to be taken', async () => fleet.host().deeds.filter((deed) => /removeJail/.test(deed)).length === 2)
    fleet.host().before('ensureNetwork', (_jail, signal) => sleep(60_000, undefined, { signal }))
    const asked = await fleet.ask('web3')
    await fleet.host().begins('ensureNetwork web3')
    const destroy = await fleet.call('DELETE', '/v1/jails/web3')
    const cancelled = await fleet.call('POST', `/v1/operations/${destroy.body.operation.id}/cancel`)
    gate.open()
    expect([cancelled.status, cancelled.body.code]).toEqual([409, 'not_cancellable'])
    expect((await fleet.ended(destroy)).status).toBe('succeeded')
    expect((await fleet.ended(asked)).status).toBe('cancelled')
    expect((await fleet.call('GET', '/v1/jails/web3')).status).toBe(404)
  })

  test('of an operation that is built and waits to be started takes effect without waiting for its turn', async ({ fleet }) => {
    const gate = makeGate()
    fleet.host().before('ensureNetwork', ({ name }) => (name === 'web3' ? undefined : gate.wait()))
    for (const name of ['web1', 'web2']) await fleet.ask(name)
    const isAtNetwork = (deed: string) => deed.startsWith('ensureNetwork')
    await until('both slots to be taken', async () => fleet.host().deeds.filter(isAtNetwork).length === 2)
    const asked = await fleet.ask('web3')
    await until('it to be built', async () => (await fleet.jail('web3'))?.state === 'built')
    await fleet.call('POST', `/v1/operations/${asked.body.operation.id}/cancel`)
    const operation = await fleet.ended(asked, 5_000).finally(gate.open)
    expect(operation.status).toBe('cancelled')
    expect(fleet.host().state().roots).toEqual(['web1', 'web2'])
  })

  test('that is heard only after a retry does not end the retry', async ({ fleet, redis }) => {
    fleet.host().before('ensureNetwork', () => {
      throw new Error('no network')
    })
    const asked = await fleet.ask('web1')
    await fleet.ended(asked)
    const { redis: connection, keys, records } = storeOf(redis)
    const [jail, operation] = [await records.jail('web1'), await records.operation(asked.body.operation.id)]
    if (!jail || !operation) throw new Error('no records')
    const begun = makeGate()
    const gate = makeGate()
    fleet.host().before('ensureNetwork', () => {
      begun.open()
      return gate.wait()
    })
    const retried = await fleet.call('POST', `/v1/operations/${operation.id}/retry`)
    await begun.wait()
    // Its producer stood still between writing the flag, which the retry has taken away, and saying so.
    const notice = { type: 'cancel', job: toJob({ jail, operation }), name: 'build' }
    await connection.publish(keys.notices('host1'), JSON.stringify(notice))
    await connection.ping()
    await sleep(200)
    gate.open()
    expect(await fleet.ended(retried)).toMatchObject({ status: 'succeeded', attempt: 2 })
  })

  test('of an operation that has ended is replayed under its key, too, and does not end its retry', async ({ fleet }) => {
    fleet.host().before('ensureNetwork', () => {
      throw new Error('no network')
    })
    const asked = await fleet.ask('web1')
    const { id } = await fleet.ended(asked)
    const cancel = () => fleet.call('POST', `/v1/operations/${id}/cancel`, undefined, { 'idempotency-key': 'once' })
    const first = await cancel()
    expect([first.status, first.headers.get('idempotency-replayed')]).toEqual([200, null])
    const gate = makeGate()
    fleet.host().before('ensureNetwork', gate.wait)
    const retried = await fleet.call('POST', `/v1/operations/${id}/retry`)
    const again = await cancel()
    gate.open()
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(await fleet.ended(retried)).toMatchObject({ status: 'succeeded', attempt: 2 })
  })

  test('is replayed under its key, and its key stands for nothing else', async ({ fleet }) => {
    fleet.host().before('ensureRoot', (_jail, signal) => sleep(60_000, undefined, { signal }))
    const asked = await fleet.ask('web1')
    const other = await fleet.ask('web2')
    const cancel = (id: string) => fleet.call('POST', `/v1/operations/${id}/cancel`, undefined, { 'idempotency-key': 'once' })
    const first = await cancel(asked.body.operation.id)
    expect([first.status, first.headers.get('idempotency-replayed')]).toEqual([202, null])
    await fleet.ended(asked)
    const again = await cancel(asked.body.operation.id)
    expect([again.body.operation.id, again.headers.get('idempotency-replayed')]).toEqual([asked.body.operation.id, 'true'])
    await fleet.call('POST', `/v1/operations/${other.body.operation.id}/cancel`)
    await fleet.ended(other)
    const reused = await cancel(other.body.operation.id)
    expect([reused.status, reused.body.code]).toEqual([422, 'idempotency_key_reused'])
  })
})
