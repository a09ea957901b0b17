import { expect } from 'vitest'
import { startFleet } from '../../support/fleets/fleet.ts'
import { test } from '../../support/redis/redis-test.ts'

const dryRun = '/v1/jails?dryRun=true'
const web1 = { name: 'web1', client: 'acme', world: 'tiny' }

test('a dry run says where a jail would go and why not elsewhere, and changes nothing', async ({ redis }) => {
  const fleet = await startFleet(redis, { hosts: ['host1', 'host2'], capacity: { jails: 1 } })
  await fleet.ended(await fleet.ask('web0', { host: 'host1' }))
  const expected = {
    fits: true,
    host: 'host2',
    addresses: ['10.99.1.2/24'],
    limits: { memory: 2 ** 26, cpu: 0.1, processes: 100 },
    hosts: [
      { host: 'host2', fits: true },
      { host: 'host1', fits: false, code: 'no_capacity', detail: 'has no room left for a jail' },
    ],
  }
  for (let i = 0; i < 2; i += 1) expect(await fleet.call('POST', dryRun, web1)).toMatchObject({ status: 200, body: expected })
  expect(await fleet.call('GET', '/v1/jails/web1')).toMatchObject({ status: 404 })
  // It would have gone where the dry run said, to the very address.
  expect((await fleet.ask('web1')).body.jail).toMatchObject({ host: 'host2', addresses: ['10.99.1.2/24'] })
  await fleet.stop()
})

test('a dry run of what would be refused gives the reason, of all and of each host', async ({ redis }) => {
  const fleet = await startFleet(redis, { hosts: ['host1', 'host2'] })
  await fleet.call('POST', '/v1/hosts/host1/drain')
  const nowhere = { fits: false, host: null, addresses: [], limits: null }
  expect((await fleet.call('POST', dryRun, { ...web1, world: 'moon' })).body).toEqual({
    ...nowhere,
    reason: {
      code: 'no_suitable_host',
      detail: 'No host can take the jail: host host1 is draining; host host2 does not offer world moon.',
    },
    hosts: [
      { host: 'host1', fits: false, code: 'no_suitable_host', detail: 'is draining' },
      { host: 'host2', fits: false, code: 'unknown_world', detail: 'does not offer world moon' },
    ],
  })
  await fleet.ask('web1')
  expect((await fleet.call('POST', dryRun, web1)).body).toMatchObject({ ...nowhere, reason: { code: 'name_taken' } })
  expect(await fleet.call('POST', dryRun, { ...web1, host: 'host9' })).toMatchObject({
    status: 422,
    body: { code: 'unknown_host' },
  })
  expect(await fleet.call('POST', '/v1/jails?dryRun=perhaps', web1)).toMatchObject({ status: 400 })
  await fleet.stop()
})
