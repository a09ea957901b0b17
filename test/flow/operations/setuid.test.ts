import { describe, expect } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import { withSignature } from '#shared/signing/signatures.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { testSecrets } from '../../support/fleets/test-producer.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { type TestRedis, test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

type Fleet = Awaited<ReturnType<typeof startFleet>>

const privileges = { setuid: true }
const notAllowed = { code: 'privilege_not_allowed', hint: expect.stringContaining('worker.yaml') }
const refusal = (host: string) =>
  `host ${host} does not allow setuid programs in jails: \`privileges: {setuid: true}\` in its worker.yaml does`

const hostOf = async ({ call }: Fleet, id = 'host1') => (await call('GET', `/v1/hosts/${id}`)).body
const driftOf = async (fleet: Fleet): Promise<{ found: string }[]> => (await hostOf(fleet)).drifts

/** Starts the worker of a host again after its owner has changed in which jails setuid programs give their rights. */
async function allowAt(fleet: Fleet, setuid: 'never' | 'on-request', host = 'host1'): Promise<void> {
  await fleet.stopHost(host)
  fleet.host(host).allowSetuid(setuid)
  await fleet.startHost(host)
  await until('the host to say so', async () => (await hostOf(fleet, host)).supports.setuid === setuid)
}

/** Changes a job that waits in a queue of host1, as one could who can write to Redis. */
async function askForMore(redis: TestRedis, queue: string, job: string): Promise<void> {
  const { redis: connection, keys } = storeOf(redis)
  const key = `${keys.host('host1')}:host1.${queue}:${job}`
  const { signature: _, ...data } = JSON.parse(await until('the job', async () => (await connection.hget(key, 'data')) ?? false))
  // As a producer would sign it that does not look: the host refuses by itself.
  const asked = withSignature('job', { ...data, jail: { ...data.jail, privileges } }, testSecrets.signer)
  await connection.hset(key, 'data', JSON.stringify(asked))
}

describe('a jail that may use setuid programs', () => {
  test('goes to a host that allows them, and nowhere else', async ({ redis }) => {
    const fleet = await startFleet(redis, { hosts: ['host1', 'host2'] })
    const web1 = { name: 'web1', client: 'acme', world: 'tiny', privileges }
    const detail = `No host can take the jail: ${refusal('host1')}; ${refusal('host2')}.`
    expect(await fleet.ask('web1', { privileges })).toMatchObject({ status: 409, body: { code: 'no_suitable_host', detail } })
    expect((await fleet.call('POST', '/v1/jails?dryRun=true', web1)).body).toMatchObject({ fits: false, reason: { detail } })
    const inBatch = await fleet.call('POST', '/v1/batches', 'name,client,world,setuid\nweb1,acme,tiny,true\n', {
      'content-type': 'text/csv',
    })
    const message = 'no host of the fleet can allow setuid programs in jails, by privileges.setuid of its worker.yaml'
    expect(inBatch).toMatchObject({ status: 400, body: { errors: [{ line: 2, field: 'setuid', message }] } })

    await allowAt(fleet, 'on-request', 'host2')
    const specs: JailSpec[] = []
    fleet.host('host2').before('ensureJail', (spec) => void specs.push(spec))
    expect((await fleet.ended(await fleet.ask('web1', { privileges }))).status).toBe('succeeded')
    expect(await fleet.jail('web1')).toMatchObject({ host: 'host2', state: 'running', privileges })
    expect(specs).toMatchObject([{ name: 'web1', privileges }])
    expect(await fleet.ask('web2', { privileges, host: 'host1' })).toMatchObject({ body: { code: 'no_suitable_host' } })

    for (const [name, more] of Object.entries({ web3: {}, web4: { privileges: {} }, web5: { privileges: { setuid: false } } })) {
      await fleet.ended(await fleet.ask(name, { host: 'host2', ...more }))
      expect(await fleet.jail(name)).not.toHaveProperty('privileges')
    }
    expect(specs.slice(1).filter((spec) => 'privileges' in spec)).toEqual([])
    await fleet.stop()
  })

  test('is not made for a job that asks a host for more than it allows', async ({ redis }) => {
    const fleet = await startFleet(redis, { capacity: { builds: 1 } })
    const gate = makeGate()
    fleet.host().before('ensureRoot', gate.wait)
    const first = await fleet.ask('web1')
    await fleet.host().begins('ensureRoot web1')
    const asked = await fleet.ask('web2')
    await askForMore(redis, 'build', `${asked.body.operation.id}-1-build`)
    gate.open()
    expect((await fleet.ended(first)).status).toBe('succeeded')
    expect(await fleet.ended(asked)).toMatchObject({ status: 'failed', step: null, error: notAllowed })
    expect(fleet.host().deeds.filter((deed) => deed.endsWith('web2'))).toEqual([])
    expect(await fleet.jail('web2')).toMatchObject({ state: 'failed' })
    await fleet.stop()
  })

  test('is not made of another one by a job that restarts it: that runs on', async ({ redis }) => {
    const fleet = await startFleet(redis)
    await fleet.ended(await fleet.ask('web1'))
    await fleet.stopHost()
    const deeds = fleet.host().deeds.length
    const asked = await fleet.call('POST', '/v1/jails/web1/restart')
    await askForMore(redis, 'stop', `${asked.body.operation.id}-1-restart`)
    await fleet.startHost('host1')
    expect(await fleet.ended(asked)).toMatchObject({ status: 'failed', step: null, error: notAllowed })
    expect(
      fleet
        .host()
        .deeds.slice(deeds)
        .filter((deed) => /remove/.test(deed)),
    ).toEqual([])
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running' })
    await fleet.stop()
  })

  test('runs on as drift once its host allows them no more, and is not started again; all others are', async ({ redis }) => {
    const fleet = await startFleet(redis, { setuid: 'on-request' })
    for (const [name, more] of Object.entries({ web1: { privileges }, web2: {} })) await fleet.ended(await fleet.ask(name, more))
    await allowAt(fleet, 'never')
    const [drift] = await until('it to be drift', async () => {
      const drifts = await driftOf(fleet)
      return drifts.length > 0 && drifts
    })
    const reason = 'Its host allows no setuid programs any more: it cannot be started again.'
    expect(drift).toMatchObject({ jail: 'web1', found: 'unallowed', reason })
    expect(await fleet.ended(await fleet.call('POST', '/v1/jails/web1/restart'))).toMatchObject({ error: notAllowed })
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running' })

    await fleet.stopHost()
    fleet.host().reboot()
    await fleet.startHost('host1')
    const stopped = await until('it to be stopped', async () => {
      const jail = await fleet.jail('web1')
      return jail?.state === 'stopped' && jail
    })
    expect(stopped.reason).toContain('which this host does not allow')
    await until('the other one to be up', () => fleet.host().state().jails.length === 1)
    expect(fleet.host().state()).toEqual({ roots: ['web1', 'web2'], networks: ['web2'], jails: ['web2'] })
    expect(await fleet.ended(await fleet.call('POST', '/v1/jails/web1/start'))).toMatchObject({ error: notAllowed })

    await allowAt(fleet, 'on-request')
    expect(await fleet.ended(await fleet.call('POST', '/v1/jails/web1/start'))).toMatchObject({ status: 'succeeded' })
    await until('no drift to be left', async () => (await driftOf(fleet)).length === 0)
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running', privileges })
    await fleet.stop()
  })

  test('is not taken down for a restart that its host allows no more, and is stopped and destroyed', async ({ redis }) => {
    const fleet = await startFleet(redis, { setuid: 'on-request' })
    await fleet.ended(await fleet.ask('web1', { privileges }))
    await allowAt(fleet, 'never')
    const deeds = fleet.host().deeds.length
    expect(await fleet.ended(await fleet.call('POST', '/v1/jails/web1/restart'))).toMatchObject({
      status: 'failed',
      step: null,
      error: notAllowed,
    })
    expect(fleet.host().deeds).toHaveLength(deeds)
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running' })

    for (const [method, path] of [
      ['POST', '/v1/jails/web1/stop'],
      ['DELETE', '/v1/jails/web1'],
    ] as const)
      expect(await fleet.ended(await fleet.call(method, path))).toMatchObject({ status: 'succeeded' })
    await until('no drift to be left', async () => (await driftOf(fleet)).length === 0)
    expect(fleet.host().state()).toEqual({ roots: [], networks: [], jails: [] })
    await fleet.stop()
  })

  test('fails at its start, and leaves nothing, where that is allowed no more once it is built', async ({ redis }) => {
    const fleet = await startFleet(redis, { setuid: 'on-request' })
    const gate = makeGate()
    fleet.host().before('ensureRoot', gate.wait)
    const asked = await fleet.ask('web1', { privileges })
    await fleet.host().begins('ensureRoot web1')
    const stopped = fleet.stopHost()
    gate.open()
    await stopped
    fleet.host().clear('ensureRoot')
    fleet.host().allowSetuid('never')
    await fleet.startHost('host1')
    expect(await fleet.ended(asked)).toMatchObject({ status: 'failed', error: { ...notAllowed, step: 'start-jail' } })
    expect(fleet.host().state()).toEqual({ roots: [], networks: [], jails: [] })
    await fleet.stop()
  })
})
