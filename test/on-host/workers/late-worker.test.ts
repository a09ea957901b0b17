import { describe, expect } from 'vitest'
import { startRealFleet } from '../../support/fleets/real-fleet.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { type TestRedis, test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

describe.skipIf(whyNoLinuxJails())('a worker that was stopped within a step and wakes up late', () => {
  test('undoes what was ended while it was away, and says so', async ({ redis }) => {
    const { fleet, before, runc, asked } = await stopWithinStart(redis)
    await runc.open()
    const forgotten = await until('its host to be down and forgotten', async () => {
      const answer = await fleet.call('POST', '/v1/hosts/real1/forget', {})
      return answer.status === 200 && answer
    })
    expect(forgotten.body).toMatchObject({ operationsFailed: 1, jailsForgotten: 1 })
    expect(await fleet.ended(asked)).toMatchObject({ status: 'failed', error: { code: 'host_forgotten' } })

    fleet.signal('worker', 'SIGCONT')
    await until('nothing of it to be left', async () => JSON.stringify(fleet.snapshot()) === JSON.stringify(before))
    const said = `Operation ${asked.body.operation.id} was ended without host real1, which comes too late.`
    await until('it to have said so', async () => (await fleet.log('worker')).includes(said))
    expect(await fleet.operation(asked.body.operation.id)).toMatchObject({ status: 'failed', error: { code: 'host_forgotten' } })
    await fleet.stop()
  })

  test('goes no further with what was cancelled while it was away', async ({ redis }) => {
    const { fleet, before, runc, asked } = await stopWithinStart(redis)
    await fleet.hostIs('real1', 'down')
    await fleet.call('POST', `/v1/operations/${asked.body.operation.id}/cancel`)
    await runc.open()
    fleet.signal('worker', 'SIGCONT')
    expect(await fleet.ended(asked)).toMatchObject({ status: 'cancelled' })
    expect(fleet.snapshot()).toEqual(before)
    expect((await fleet.call('GET', '/v1/jails/web1')).status).toBe(404)
    await fleet.stop()
  })
})

/** A fleet whose worker is stopped while it starts a jail, with that command at its gate. `before`: what was on the host. */
async function stopWithinStart(redis: TestRedis) {
  const fleet = await startRealFleet(redis, { timeScale: 0.1 })
  const before = fleet.snapshot()
  const runc = await fleet.gate('runc', '/usr/sbin/runc', '*" run "*')
  const asked = await fleet.ask('web1', { world: 'busybox' })
  await runc.reached()
  fleet.signal('worker', 'SIGSTOP')
  return { fleet, before, runc, asked }
}
