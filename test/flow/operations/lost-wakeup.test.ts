import { expect } from 'vitest'
import { scaledTiming } from '#shared/process/timing.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

test('a provision whose jail was destroyed before its job was there ends as cancelled', async ({ redis }) => {
  const fleet = await startFleet(redis, { timing: scaledTiming(0.1), capacity: { builds: 1 } })
  const { redis: connection, keys } = storeOf(redis)
  const gate = makeGate()
  fleet.host().before('ensureRoot', gate.wait)
  await fleet.ask('web1')
  await until('the slot to be taken', async () => fleet.host().deeds.length === 1)
  const asked = await fleet.ask('web2')
  const { id } = asked.body.operation
  const stopped = fleet.stopHost()
  gate.open()
  await stopped
  // As if its producer had died first, and the wake-up were not due yet; and no worker hears of its cancel.
  await connection.zadd(keys.wakeups, Date.now() + 3_600_000, id)
  const queue = (name: string) => `${keys.host('host1')}:host1.${name}`
  await connection.lrem(`${queue('build')}:wait`, 0, `${id}-1-build`)
  await connection.del(`${queue('build')}:${id}-1-build`, `${queue('start')}:${id}-1-start`)
  await connection.zrem(`${queue('start')}:waiting-children`, `${id}-1-start`)
  const destroy = await fleet.call('DELETE', '/v1/jails/web2')
  await fleet.startHost('host1')
  expect((await fleet.ended(destroy)).status).toBe('succeeded')
  await connection.zadd(keys.wakeups, 0, id)
  expect(await fleet.ended(asked)).toMatchObject({ status: 'cancelled', error: { code: 'cancelled' } })
  await fleet.stop()
})
