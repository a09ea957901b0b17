import { once } from 'node:events'
import { describe, expect } from 'vitest'
import { type NamespaceFleet, startNamespaceFleet } from '../../support/fleets/namespace-fleet.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import type { HostSnapshot } from '../../support/hosts/host-snapshot.ts'
import { test as withRedis } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

const busybox = { world: 'busybox' }
const nothing: HostSnapshot = { mounts: [], links: [], filters: [], namespaces: [], cgroups: [], directories: [], processes: [] }

/** `test` with a host, `first`, and another computer, `second`, which is yet to be started and whose worker.yaml has the same name. */
const test = withRedis.extend<{ fleet: NamespaceFleet }>({
  fleet: async ({ redis }, use) => {
    const fleet = await startNamespaceFleet(redis, ['first'], 0.2)
    await fleet.add('second', 'first')
    await use(fleet)
    expect(await fleet.remove()).toEqual([nothing, nothing])
  },
})

describe.skipIf(whyNoLinuxJails())('a worker that was stopped while another computer took the name of its host', () => {
  test('takes no job, undoes what it had begun, says why and ends, and every jail runs once', async ({ fleet }) => {
    await fleet.ended(await fleet.ask('kept', busybox))
    const { jid } = (await fleet.jail('kept')) ?? {}
    const ofBegun = () =>
      Object.values(fleet.host('first').snapshot())
        .flat()
        .filter((line) => /\/begun\b/.test(line))
    const runc = await fleet.gate('first', 'runc', '/usr/sbin/runc', '*" run "*/begun*')
    // A worker looks for each program once.
    await fleet.end('first', 'SIGTERM')
    await fleet.hostIs('first', 'down')
    const worker = fleet.start('first')
    await fleet.hostIs('first', 'up')
    const begun = await fleet.ask('begun', busybox)
    await runc.reached()
    worker.kill('SIGSTOP')
    fleet.start('second')
    await fleet.hostIs('first', 'incompatible')
    expect((await fleet.call('GET', '/v1/hosts/first')).body.reason).toContain('second/host is not the one with its 2 jails')
    // Its command goes on while the worker does not.
    await runc.open()
    await until('the jail to be up', () => fleet.host('first').running().includes('begun'))

    const exited = once(worker, 'exit')
    worker.kill('SIGCONT')
    const asked = await fleet.call('POST', '/v1/jails/kept/restart')
    expect(await exited).toEqual([1, null])
    const lines = (await fleet.log('first')).split('\n')
    expect(lines.filter((line) => line.includes('this worker ends: its host has another one'))).toHaveLength(1)
    expect(lines.filter((line) => /^Another worker has taken the name of host first .*second\/host/.test(line))).toHaveLength(1)
    await until('its processes to be gone', () => fleet.host('first').running().join() === 'kept')
    expect([ofBegun(), fleet.host('second').running()]).toEqual([[], []])
    process.kill(jid ?? 0, 0)
    for (const { body } of [begun, asked])
      expect(await fleet.operation(body.operation.id)).not.toHaveProperty('finishedAt', expect.any(String))

    await fleet.end('second', 'SIGTERM')
    fleet.start('first')
    expect(await fleet.ended(asked)).toMatchObject({ status: 'succeeded' })
    expect(await fleet.ended(begun)).toMatchObject({ status: 'failed', error: { code: 'host_unfit' } })
    const again = await fleet.call('POST', `/v1/operations/${begun.body.operation.id}/retry`)
    expect(await fleet.ended(again)).toMatchObject({ status: 'succeeded' })
    // What a restart has ended is in its removed cgroup until it is reaped.
    await until('both jails to run, once', () => fleet.host('first').running().join() === 'begun,kept')
    expect(fleet.host('second').running()).toEqual([])
    await fleet.destroyJails()
  })
})
