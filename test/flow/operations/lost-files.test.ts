import { describe, expect } from 'vitest'
import { startFleet } from '../../support/fleets/fleet.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { test as withRedis } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

const pools = [{ name: 'old', cidr: '10.99.7.0/24', gateway: '10.99.7.1', exclude: [] }]

describe('a jail whose files were taken from its host', () => {
  test('is not restarted blank: it is refused before it is taken down', async ({ fleet }) => {
    await fleet.ended(await fleet.ask('web1'))
    fleet.host().byHand.removeRoot('web1')
    const deeds = fleet.host().deeds.length
    const operation = await fleet.ended(await fleet.call('POST', '/v1/jails/web1/restart'))
    expect(operation).toMatchObject({
      status: 'failed',
      step: null,
      error: {
        code: 'not_built',
        message: "The root of jail web1, with its client's files, is gone from its host.",
        hint: expect.stringContaining('Bring it back from a copy'),
      },
    })
    expect(fleet.host().deeds).toHaveLength(deeds)
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running' })
    // What becomes of it after the refusal is heard as before.
    fleet.host().byHand.stop('web1')
    await until('it to be known', async () => (await fleet.jail('web1'))?.state === 'failed')
  })

  test('is not started blank', async ({ fleet }) => {
    await fleet.ended(await fleet.ask('web1'))
    await fleet.ended(await fleet.call('POST', '/v1/jails/web1/stop'))
    fleet.host().byHand.removeRoot('web1')
    expect(await fleet.ended(await fleet.call('POST', '/v1/jails/web1/start'))).toMatchObject({
      status: 'failed',
      error: { code: 'not_built' },
    })
    expect(await fleet.jail('web1')).toMatchObject({ state: 'stopped' })
    expect(fleet.host().state()).toEqual({ roots: [], networks: [], jails: [] })
    fleet.host().byHand.start('web1', 77)
    await until('it to be known', async () => (await fleet.jail('web1'))?.jid === 77)
  })

  test('is not started blank by the step itself, should they go after that was looked at', async ({ fleet }) => {
    await fleet.ended(await fleet.ask('web1'))
    fleet.host().before('removeNetwork', ({ name }) => fleet.host().byHand.removeRoot(name))
    const operation = await fleet.ended(await fleet.call('POST', '/v1/jails/web1/restart'))
    expect(operation).toMatchObject({ status: 'failed', error: { code: 'not_built', step: 'mount-root' } })
    expect(fleet.host().state()).toEqual({ roots: [], networks: [], jails: [] })
  })

  test('is not brought up blank after a reboot: it has failed, and is drift', async ({ fleet }) => {
    await fleet.ended(await fleet.ask('web1'))
    await fleet.stopHost()
    fleet.host().reboot()
    fleet.host().byHand.removeRoot('web1')
    await fleet.startHost('host1')
    const jail = await until('it to have failed', async () => {
      const now = await fleet.jail('web1')
      return now?.state === 'failed' && now
    })
    expect(jail).toMatchObject({ reason: 'Its root is gone from its host.', jid: null })
    expect(fleet.host().state()).toEqual({ roots: [], networks: [], jails: [] })
    await until('it to be drift', async () => (await fleet.call('GET', '/v1/hosts/host1')).body.drifts[0]?.found === 'gone')
  })
})

describe('a jail whose pool was taken out of the configuration of its host', () => {
  withRedis('is drift at the next start, and not taken down for a restart that cannot be', async ({ redis }) => {
    const settings = { pools }
    const fleet = await startFleet(redis, settings)
    await fleet.ended(await fleet.ask('web1'))
    await fleet.stopHost()
    settings.pools = [{ name: 'new', cidr: '10.99.8.0/24', gateway: '10.99.8.1', exclude: [] }]
    fleet.host().hasPools(settings.pools)
    await fleet.startHost('host1')
    await fleet.hostIs('host1', 'up')
    const [drift] = await until('it to be drift', async () => {
      const { drifts } = (await fleet.call('GET', '/v1/hosts/host1')).body
      return drifts.length === 1 && drifts
    })
    expect(drift).toMatchObject({
      jail: 'web1',
      found: 'unpooled',
      reason: 'Its address 10.99.7.2/24 is in no pool of its host: it cannot be started again.',
    })
    const deeds = fleet.host().deeds.length
    expect(await fleet.ended(await fleet.call('POST', '/v1/jails/web1/restart'))).toMatchObject({
      status: 'failed',
      error: { code: 'address_not_in_pool', message: '10.99.7.2/24 of jail web1 is in no pool of this host.' },
    })
    expect(fleet.host().deeds).toHaveLength(deeds)
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running' })

    await fleet.stopHost()
    settings.pools = pools
    fleet.host().hasPools(pools)
    await fleet.startHost('host1')
    await until('no drift to be left', async () => (await fleet.call('GET', '/v1/hosts/host1')).body.drifts.length === 0)
    expect(await fleet.ended(await fleet.call('POST', '/v1/jails/web1/restart'))).toMatchObject({ status: 'succeeded' })
    await fleet.stop()
  })
})
