import { describe, expect } from 'vitest'
import type { Operation } from '#shared/operation.ts'
import { scaledTiming } from '#shared/process/timing.ts'
import { type Fleet, startFleet } from '../../support/fleets/fleet.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

describe('a provision that no worker has bound to its host', () => {
  test('is moved when that host is down, says so, and leaves nothing there', async ({ redis }) => {
    const fleet = await startFleet(redis, { hosts: ['host1', 'host2'] })
    const gate = makeGate()
    fleet.host('host1').before('ensureRoot', gate.wait)
    await fleet.call('POST', '/v1/hosts/host2/drain')
    const asked = await fleet.ask('web1')
    expect(asked.body.jail).toMatchObject({ host: 'host1', addresses: ['10.99.0.2/24'] })
    await fleet.host('host1').begins('ensureRoot web1')
    await fleet.call('POST', '/v1/hosts/host2/undrain')
    await Promise.all([fleet.stopHost('host1'), gate.open()])

    const ended = await fleet.ended(asked, 40_000)
    const { moves, ...operation } = ended
    expect(operation).toMatchObject({ status: 'succeeded', host: 'host2', attempt: 1 })
    expect(moves).toEqual([
      { at: expect.any(String), from: 'host1', to: 'host2', epoch: expect.any(Number), reason: 'host host1 is down' },
    ])
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running', host: 'host2', addresses: ['10.99.1.2/24'] })
    await promisedBy(fleet, { host1: 0, host2: 1 })

    expect(fleet.host('host1').state().roots).toEqual(['web1'])
    fleet.host('host1').clear('ensureRoot')
    await fleet.startHost('host1')
    await until('the host to be empty', async () => fleet.host('host1').state().roots.length === 0)
    expect((await fleet.call('GET', '/v1/hosts/host1')).body.drifts).toEqual([])
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running', host: 'host2' })
    await fleet.stop()
  })

  test('is not moved any more once it has ended, though it was among those to be moved', async ({ redis }) => {
    const fleet = await startFleet(redis, { hosts: ['host1', 'host2'], timing: scaledTiming(0.1) })
    await fleet.call('POST', '/v1/hosts/host2/drain')
    const { id } = await fleet.ended(await fleet.ask('web1'))
    const gate = makeGate()
    fleet.host('host1').before('ensureRoot', gate.wait)
    const other = await fleet.ask('web2')
    await fleet.host('host1').begins('ensureRoot web2')
    await fleet.call('POST', '/v1/hosts/host2/undrain')
    // As who moves has read the list a moment before the end of one was applied.
    const { redis: connection, keys } = storeOf(redis)
    await connection.zadd(keys.operations('host', 'host1'), 0, id)
    await Promise.all([fleet.stopHost('host1'), gate.open()])
    expect(await fleet.ended(other)).toMatchObject({ status: 'succeeded', host: 'host2' })
    expect(await fleet.operation(id)).toMatchObject({ status: 'succeeded', host: 'host1' })
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running', host: 'host1' })
    expect(fleet.host('host2').state().jails).toEqual(['web2'])
    await fleet.stop()
  })

  test('stays with a host that was asked for, and says what it waits for', async ({ redis }) => {
    const fleet = await startFleet(redis, { hosts: ['host1', 'host2'] })
    const gate = makeGate()
    fleet.host('host1').before('ensureRoot', gate.wait)
    const asked = await fleet.ask('web1', { host: 'host1' })
    await fleet.host('host1').begins('ensureRoot web1')
    await Promise.all([fleet.stopHost('host1'), gate.open()])
    await until('it to say so', async () => (await waitingOf(fleet, asked.body.operation))?.reason === 'host host1 is down')
    await fleet.startHost('host1')
    expect(await fleet.ended(asked)).toMatchObject({ status: 'succeeded', host: 'host1' })
    await fleet.stop()
  })
})

describe('an operation that is bound', () => {
  test('waits for its host, saying so, and goes on when it is back', async ({ redis }) => {
    const fleet = await startFleet(redis, { hosts: ['host1', 'host2'] })
    const gate = makeGate()
    fleet.host('host1').before('ensureJail', gate.wait)
    await fleet.call('POST', '/v1/hosts/host2/drain')
    const asked = await fleet.ask('web1')
    await fleet.host('host1').begins('ensureJail web1')
    await fleet.call('POST', '/v1/hosts/host2/undrain')
    await Promise.all([fleet.stopHost('host1'), gate.open()])
    await until('it to say so', async () => (await waitingOf(fleet, asked.body.operation))?.reason === 'host host1 is down')
    fleet.host('host1').clear('ensureJail')
    await fleet.startHost('host1')
    const { moves, ...operation } = await fleet.ended(asked)
    expect(operation).toMatchObject({ status: 'succeeded', host: 'host1' })
    expect(moves).toBeUndefined()
    await fleet.stop()
  })
})

describe('a host that is drained', () => {
  test('finishes what it is at, gives away what has not begun, and is empty in the end', async ({ redis }) => {
    const fleet = await startFleet(redis, { hosts: ['host1', 'host2'], capacity: { builds: 1 } })
    const gate = makeGate()
    fleet.host('host1').before('ensureRoot', gate.wait)
    await fleet.call('POST', '/v1/hosts/host2/drain')
    const begun = await fleet.ask('web1')
    await fleet.host('host1').begins('ensureRoot web1')
    const waits = await fleet.ask('web2')
    expect(await waitingOf(fleet, waits.body.operation)).toEqual({ reason: 'queue build of host host1', position: 1 })
    await fleet.call('POST', '/v1/hosts/host2/undrain')
    const drained = await fleet.call('POST', '/v1/hosts/host1/drain')
    expect(drained.body.host).toMatchObject({ state: 'draining', operations: 2 })
    expect(await fleet.ended(waits, 30_000)).toMatchObject({ status: 'succeeded', host: 'host2' })
    await until('one to be left', async () => (await fleet.call('GET', '/v1/hosts/host1')).body.operations === 1)
    gate.open()
    expect(await fleet.ended(begun)).toMatchObject({ status: 'succeeded', host: 'host1' })
    await until('none to be left', async () => (await fleet.call('GET', '/v1/hosts/host1')).body.operations === 0)
    expect((await fleet.ask('web3')).body.jail.host).toBe('host2')
    await fleet.stop()
  })
})

const waitingOf = async (fleet: Fleet, { id }: Operation) => (await fleet.operation(id)).waiting

async function promisedBy(fleet: Fleet, jails: Record<string, number>): Promise<void> {
  await until('the ledgers to be read', async () => {
    const { items } = (await fleet.call('GET', '/v1/hosts')).body
    return items.every((host: { id: string; promised: { jails: number } }) => host.promised.jails === jails[host.id])
  })
}
