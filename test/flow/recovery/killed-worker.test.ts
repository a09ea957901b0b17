import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import { createJail } from '../../../producer/operations/operate.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { log, openTestRegistry } from '../../support/fleets/test-producer.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test as withRedis } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

describe('what was accepted', () => {
  test('is done although the producer died before it put the job into the queue', async ({ fleet, redis }) => {
    // Another producer of the fleet, which dies between the two: its jobs never reach a queue.
    const store = storeOf(redis)
    const hosts = await openTestRegistry(store)
    const enqueue = () => Promise.reject(new Error('killed'))
    const dying = { ...store, log, hosts, placement: 'spread', enqueue } as const
    const { operation } = await createJail(dying, { name: 'web1', client: 'acme', world: 'tiny' })
    await hosts.stop()
    await until('the sweeper to have done it', async () => (await fleet.operation(operation.id)).status === 'succeeded')
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running' })
  })

  withRedis('goes on from the step where its worker stopped, and no step that was done is done again', async ({ redis }) => {
    const fleet = await startFleet(redis)
    const gate = makeGate()
    fleet.host().before('ensureNetwork', gate.wait)
    const asked = await fleet.ask('web1')
    await fleet.host().begins('ensureNetwork web1')
    const stopped = fleet.stopHost()
    gate.open()
    await stopped
    expect((await fleet.operation(asked.body.operation.id)).status).toBe('running')
    await fleet.startHost('host1')
    expect((await fleet.ended(asked)).status).toBe('succeeded')
    expect(fleet.host().deeds).toEqual([
      'ensureRoot web1',
      'ensureNetwork web1',
      'ensureJail web1',
      'startCommand web1',
      'proveIsolation web1',
    ])
    await fleet.stop()
  })

  withRedis('is brought up again after its host was rebooted, and reported with its new jid', async ({ redis }) => {
    const fleet = await startFleet(redis)
    await fleet.ended(await fleet.ask('web1'))
    await fleet.ended(await fleet.ask('web2'))
    await fleet.ended(await fleet.call('POST', '/v1/jails/web2/stop'))
    const before = await fleet.jail('web1')
    await fleet.stopHost()
    fleet.host().reboot()
    await fleet.startHost('host1')
    const after = await until('its new jid', async () => {
      const jail = await fleet.jail('web1')
      return jail?.jid !== before?.jid && jail
    })
    expect(after).toMatchObject({ state: 'running', epoch: before?.epoch })
    expect(fleet.host().state()).toEqual({ roots: ['web1', 'web2'], networks: ['web1'], jails: ['web1'] })
    expect(await fleet.jail('web2')).toMatchObject({ state: 'stopped' })
    await fleet.stop()
  })

  withRedis('is ended and started anew when the boot brought it up otherwise than it was asked for', async ({ redis }) => {
    const fleet = await startFleet(redis)
    await fleet.ended(await fleet.ask('web1'))
    await fleet.stopHost()
    fleet.host().reboot()
    fleet.host().byHand.start('web1', 7)
    const deeds = fleet.host().deeds.length
    fleet.host().before('proveIsolation', async (jail) => {
      if ((await fleet.host().host.findJail(jail))?.jid === 7)
        throw new ProvostError('isolation_unproven', 'It is allowed more than a jail should be: allow.raw_sockets')
    })
    await fleet.startHost('host1')
    const jail = await until('its reason', async () => {
      const now = await fleet.jail('web1')
      return now?.reason ? now : undefined
    })
    expect(jail).toMatchObject({
      state: 'running',
      jid: expect.any(Number),
      reason: expect.stringMatching(/^It was ended and started again, .*allow\.raw_sockets$/),
    })
    expect(jail.jid).not.toBe(7)
    const once = ['mountRoot web1', 'ensureNetwork web1', 'ensureJail web1', 'startCommand web1', 'proveIsolation web1']
    expect(fleet.host().deeds.slice(deeds)).toEqual([...once, 'removeJail web1', 'removeNetwork web1', ...once])
    await fleet.stop()
  })

  withRedis('is ended and started anew also when it has run all the time, and says so', async ({ redis }) => {
    const fleet = await startFleet(redis)
    await fleet.ended(await fleet.ask('web1'))
    const before = await fleet.jail('web1')
    await fleet.stopHost()
    fleet.host().before('proveIsolation', async (jail) => {
      if ((await fleet.host().host.findJail(jail))?.jid === before?.jid)
        throw new ProvostError('isolation_unproven', 'It has the interface em1, which is not its own')
    })
    await fleet.startHost('host1')
    const jail = await until('its reason', async () => {
      const now = await fleet.jail('web1')
      return now?.reason ? now : undefined
    })
    expect(jail).toMatchObject({
      state: 'running',
      reason:
        'It was ended and started again, for it was found otherwise than it was asked for: It has the interface em1, which is not its own',
    })
    expect(jail.jid).not.toBe(before?.jid)
    await fleet.stop()
  })

  withRedis('runs on when it could not be looked at, and says so', async ({ redis }) => {
    const fleet = await startFleet(redis)
    await fleet.ended(await fleet.ask('web1'))
    const before = await fleet.jail('web1')
    await fleet.stopHost()
    fleet.host().before('proveIsolation', () => {
      throw new ProvostError('program_missing', 'The program nsenter is not in /nowhere.')
    })
    await fleet.startHost('host1')
    const jail = await until('its reason', async () => {
      const now = await fleet.jail('web1')
      return now?.reason ? now : undefined
    })
    expect(jail).toMatchObject({
      state: 'running',
      jid: before?.jid,
      reason: 'It runs, but its isolation could not be proven when its worker started: The program nsenter is not in /nowhere.',
    })
    await fleet.stop()
  })

  withRedis('is down with the reason told when it cannot be brought up as it was asked for', async ({ redis }) => {
    const fleet = await startFleet(redis)
    await fleet.ended(await fleet.ask('web1'))
    await fleet.stopHost()
    fleet.host().reboot()
    fleet.host().before('proveIsolation', () => {
      throw new ProvostError('isolation_unproven', 'It has the interface em1, which is not its own')
    })
    await fleet.startHost('host1')
    const jail = await until('its reason', async () => {
      const now = await fleet.jail('web1')
      return now?.reason ? now : undefined
    })
    expect(jail).toMatchObject({
      state: 'stopped',
      reason: 'It could not be brought up: It has the interface em1, which is not its own',
    })
    await fleet.stop()
  })

  withRedis('is reported with its new jid also when an operation was asked for meanwhile and cancelled', async ({ redis }) => {
    const fleet = await startFleet(redis)
    await fleet.ended(await fleet.ask('web1'))
    const before = await fleet.jail('web1')
    await fleet.stopHost()
    fleet.host().reboot()
    const asked = await fleet.call('POST', '/v1/jails/web1/restart')
    await fleet.call('POST', `/v1/operations/${asked.body.operation.id}/cancel`)
    await fleet.startHost('host1')
    expect((await fleet.ended(asked)).status).toBe('cancelled')
    const after = await until('its new jid', async () => {
      const jail = await fleet.jail('web1')
      return jail?.jid !== before?.jid && jail
    })
    expect(after).toMatchObject({ state: 'running', jid: expect.any(Number) })
    await fleet.stop()
  })

  withRedis('is never given the root of another jail, also when the records were lost', async ({ redis }) => {
    const fleet = await startFleet(redis)
    await fleet.ended(await fleet.ask('web1', { client: 'first' }))
    const { redis: connection } = storeOf(redis)
    const keys = await connection.keys(`${redis.prefix}:*`)
    await connection.unlink(...keys.filter((key) => !/:host:|:hosts|:reports|:fleet|:epoch/.test(key)))

    const deeds = [...fleet.host().deeds]
    const asked = await until('it to be accepted', async () => {
      const answer = await fleet.ask('web1', { client: 'second' })
      return answer.status === 202 && answer
    })
    const failed = await fleet.ended(asked)
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'journal_conflict' } })
    expect((await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))).status).toBe('succeeded')
    expect((await fleet.call('GET', '/v1/jails/web1')).status).toBe(404)
    expect(fleet.host().deeds).toEqual(deeds)
    expect(fleet.host().state().jails).toEqual(['web1'])
    await fleet.stop()
  })

  withRedis('is done by one worker: a second one with the name of its host is refused', async ({ redis }) => {
    const fleet = await startFleet(redis)
    await expect(fleet.startTwin('host1')).rejects.toThrow('Another worker reports as host host1')
    expect((await fleet.ended(await fleet.ask('web1'))).status).toBe('succeeded')
    await fleet.stop()
  })

  test('and cancelled by a DELETE is not brought back by a retry', async ({ fleet }) => {
    fleet.host().before('ensureNetwork', (_jail, signal) => sleep(60_000, undefined, { signal }))
    const asked = await fleet.ask('web1')
    await fleet.host().begins('ensureNetwork web1')
    await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))
    const retried = await fleet.call('POST', `/v1/operations/${asked.body.operation.id}/retry`)
    expect([retried.status, retried.body.code]).toEqual([409, 'not_retryable'])
  })
})
