import { execFileSync } from 'node:child_process'
import { describe, expect } from 'vitest'
import { startRealFleet } from '../../support/fleets/real-fleet.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

describe.skipIf(whyNoLinuxJails())('a jail that is stopped by hand', () => {
  test("is stopped with the reason, also after a worker's start, and runs again when asked", async ({ redis }) => {
    const fleet = await startRealFleet(redis)
    const before = fleet.snapshot()
    await fleet.ended(await fleet.ask('web1', { world: 'busybox', command: ['/bin/sleep', '1000'] }))
    const running = await fleet.jail('web1')
    process.kill(running?.jid ?? 0, 'SIGKILL')

    const stopped = await until('the fleet to know', async () => {
      const { body } = await fleet.call('GET', '/v1/jails/web1')
      return body?.state === 'stopped' && body
    })
    expect(stopped).toMatchObject({ jid: null, reason: 'It was stopped on its host, not through Provost.' })
    const noted = await until('a note of its drift', async () => (await driftOf(fleet))[0])
    expect(noted).toMatchObject({ found: 'stopped', jail: 'web1' })

    // A worker's start brings up what is to run: this is not.
    await fleet.end('worker', 'SIGKILL')
    fleet.start('worker')
    await fleet.hostIs('real1', 'up')
    expect(await fleet.jail('web1')).toMatchObject({ state: 'stopped' })
    expect((await fleet.ended(await fleet.call('POST', '/v1/jails/web1/start'))).status).toBe('succeeded')
    const again = await fleet.jail('web1')
    expect(again).toMatchObject({ state: 'running' })
    expect(again?.jid).not.toBe(running?.jid)
    expect(again).not.toHaveProperty('reason')
    await until('the note of its drift to go', async () => (await driftOf(fleet)).length === 0)

    await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))
    expect(fleet.snapshot()).toEqual(before)
    await fleet.stop()
  })
})

describe.skipIf(whyNoLinuxJails())('a jail whose link is deleted by hand', () => {
  test('runs on as drift, and has its link again after a restart', async ({ redis }) => {
    const fleet = await startRealFleet(redis)
    const before = fleet.snapshot()
    await fleet.ended(await fleet.ask('web1', { world: 'busybox', command: ['/bin/sleep', '1000'] }))
    const { jid } = (await fleet.jail('web1')) ?? {}
    // Its link is the one that has a master, the bridge.
    const [link = ''] =
      fleet
        .snapshot()
        .links.map((line) => line.split(' '))
        .find(([, master]) => master) ?? []
    execFileSync('ip', ['link', 'delete', 'dev', link])

    const noted = await until('a note of its drift', async () => (await driftOf(fleet))[0])
    expect(noted).toMatchObject({ found: 'unlinked', jail: 'web1' })
    expect(await fleet.jail('web1')).toMatchObject({
      ...{ state: 'running', jid },
      reason: 'Its link to the network, or a rule of it, was removed on its host, not through Provost; a restart makes it anew.',
    })
    expect(await fleet.ended(await fleet.call('POST', '/v1/jails/web1/restart'))).toMatchObject({ status: 'succeeded' })
    await until('the note of its drift to go', async () => (await driftOf(fleet)).length === 0)
    expect(await fleet.jail('web1')).not.toHaveProperty('reason')

    await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))
    expect(fleet.snapshot()).toEqual(before)
    await fleet.stop()
  })
})

async function driftOf({ call }: Awaited<ReturnType<typeof startRealFleet>>): Promise<object[]> {
  return (await call('GET', '/v1/hosts/real1')).body?.drifts ?? []
}
