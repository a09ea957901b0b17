import { pino } from 'pino'
import { expect } from 'vitest'
import { heldOnOtherRoots } from '../../../producer/hosts/orphans/held-addresses.ts'
import { releaseStrayLeases } from '../../../producer/hosts/orphans/release-stray-leases.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test } from '../../support/redis/redis-test.ts'

test('a lease without a jail is given back after a quarantine, and no other', async ({ redis }) => {
  const pools = [{ name: 'small', cidr: '10.99.8.0/29', gateway: '10.99.8.1', exclude: [] }]
  const fleet = await startFleet(redis, { pools })
  const store = storeOf(redis)
  const { redis: connection, keys } = store
  await fleet.ended(await fleet.ask('web1', { addresses: ['10.99.8.2'] }))
  for (const address of ['10.99.8.3', '10.99.8.4', '10.99.8.5', '10.99.8.6'])
    await connection.hset(keys.leases, address, 'nobody')
  expect(await fleet.ask('web2')).toMatchObject({ status: 409, body: { code: 'no_free_address' } })

  const deps = {
    ...store,
    hosts: { all: () => [{ id: 'host1', state: 'up', pools } as never] },
    log: pino({ level: 'silent' }),
  }
  const now = Date.now()
  await releaseStrayLeases(deps, now)
  await releaseStrayLeases(deps, now + 599_000)
  expect(await fleet.ask('web2')).toMatchObject({ status: 409 })
  expect((await fleet.call('GET', '/metrics')).text).toContain('provost_stray_leases 4\n')
  // One is somebody's again by then.
  await connection.hset(keys.leases, '10.99.8.6', 'web1')
  await connection.hset(keys.jail('web1'), 'leases', JSON.stringify(['10.99.8.2', '10.99.8.6'].map(leaseOf)))
  await releaseStrayLeases(deps, now + 601_000)
  expect(await connection.hgetall(keys.leases)).toEqual({ '10.99.8.2': 'web1', '10.99.8.6': 'web1' })
  for (const name of ['web2', 'web3', 'web4']) expect((await fleet.ask(name)).status).toBe(202)
  await fleet.stop()

  function leaseOf(address: string) {
    return [address, 29, '10.99.8.0/29']
  }
})

test('a held address that is given back is held for no jail of another root any more', async ({ redis }) => {
  const store = storeOf(redis)
  const { redis: connection, keys } = store
  const address = '10.99.8.3'
  await connection.hset(keys.leases, address, keys.forgottenHolder('host1'))
  await connection.hset(keys.heldLeases('host1'), address, keys.returned('10.99.8.0/29'))
  await connection.hset(keys.heldFor('host1'), address, JSON.stringify({ provision: 'p1', root: 'root1' }))
  await connection.set(keys.hostRoot('host1'), 'root1')
  const hosts = { all: () => [{ id: 'host1', state: 'up', pools: [] } as never] }
  const now = Date.now()
  for (const at of [now, now + 601_000]) await releaseStrayLeases({ ...store, hosts, log: pino({ level: 'silent' }) }, at)
  expect(await connection.hgetall(keys.leases)).toEqual({})
  await connection.set(keys.hostRoot('host1'), 'root2')
  expect(await heldOnOtherRoots(store, 'host1')).toEqual([])
})
