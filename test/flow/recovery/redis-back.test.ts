import { test } from 'vitest'
import { startFleet } from '../../support/fleets/fleet.ts'
import { makeGate } from '../../support/gate.ts'
import { ownRedis } from '../../support/redis/own-redis.ts'
import { durable } from '../../support/redis/redis-server.ts'
import { until } from '../../support/until.ts'

/** How soon a fleet must work again after its Redis is back. */
const workingWithinMs = 3_000

// At the same time, since the last one mostly waits.
test.concurrent.for(['SIGTERM', 'SIGKILL'] as const)(
  'nothing accepted is lost when Redis is ended by %s in the middle of operations, and all go on when it is back',
  async (signal, { expect, ...context }) => {
    const { redis, start, end } = await ownRedis(context, durable)
    const fleet = await startFleet(redis, { hosts: ['host1', 'host2'] })
    const gate = makeGate()
    for (const host of ['host1', 'host2']) fleet.host(host).before('ensureRoot', gate.wait)
    const before = await Promise.all(Array.from({ length: 12 }, (_, i) => fleet.ask(`web${i}`)))
    expect(before.map(({ status }) => status)).toEqual(before.map(() => 202))
    await end(signal)
    gate.open()
    expect(await fleet.ask('refused')).toMatchObject({ status: 503, body: { code: 'queue_unavailable' } })
    start()
    const isUp = async () => (await fleet.ask('after')).status === 202
    await until('a new jail to be accepted', isUp, workingWithinMs)
    for (const asked of before) expect(await fleet.ended(asked)).toMatchObject({ status: 'succeeded', attempt: 1 })
    const deeds = ['host1', 'host2'].flatMap((host) => fleet.host(host).deeds)
    const clones = deeds.filter((deed) => deed.startsWith('ensureRoot web'))
    expect(clones.toSorted()).toEqual([...new Set(clones)].toSorted())
    await fleet.stop()
  },
)

test.concurrent('a fleet works again at once when Redis was away for a minute, and its jails ran on', {
  timeout: 120_000,
}, async ({ expect, ...context }) => {
  const { redis, start, end } = await ownRedis(context, durable)
  const fleet = await startFleet(redis)
  await fleet.ended(await fleet.ask('web1'))
  await end()
  const awayUntilMs = Date.now() + 60_000
  await until('a minute to pass', async () => Date.now() >= awayUntilMs, 61_000)
  expect(fleet.host().state().jails).toEqual(['web1'])
  start()
  const asked = await until(
    'a new jail to be accepted',
    async () => {
      const answer = await fleet.ask('web2')
      return answer.status === 202 && answer
    },
    workingWithinMs,
  )
  expect(await fleet.ended(asked, workingWithinMs)).toMatchObject({ status: 'succeeded' })
  expect(await fleet.jail('web1')).toMatchObject({ state: 'running' })
  await fleet.stop()
})
