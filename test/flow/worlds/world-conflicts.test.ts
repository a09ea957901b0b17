import { expect } from 'vitest'
import { test } from '../../support/fleets/fleet-test.ts'
import { hostReport, writeHost } from '../../support/hosts/write-host.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { until } from '../../support/until.ts'

test('a world that two hosts of one platform define differently is shown as a conflict, and no jail is made of it', async ({
  fleet,
  redis,
}) => {
  const tiny = async () => (await fleet.call('GET', '/v1/worlds')).body.items[0]
  const { conflict, hosts } = await tiny()
  expect(conflict).toEqual([])

  const { redis: connection, keys } = storeOf(redis)
  const { platform } = hosts[0]
  await writeHost(connection, keys, hostReport('host2', { platform }))
  const shown = await until('the other host to be seen', async () => {
    const world = await tiny()
    return world.hosts.length === 2 && world
  })
  expect(shown.conflict).toEqual([platform])
  const refused = await fleet.ask('web1')
  expect([refused.status, refused.body.code, refused.body.detail]).toEqual([
    409,
    'no_suitable_host',
    'No host can take the jail: host host1 offers world tiny by another definition than host host2; ' +
      'host host2 offers world tiny by another definition than host host1.',
  ])
})
