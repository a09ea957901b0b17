import { readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { releaseStrayLeases } from '../../../producer/hosts/orphans/release-stray-leases.ts'
import { type Fleet, startFleet } from '../../support/fleets/fleet.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test as base } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'
import { silent } from '../../worker/samples.ts'

const pools = [{ name: 'shared', cidr: '10.99.7.0/29', gateway: '10.99.7.1', exclude: [] }]

/** A fleet whose host1 has web1 and web2, and is stopped. */
const test = base.extend<{ fleet: Fleet }>({
  fleet: async ({ redis }, use) => {
    const fleet = await startFleet(redis, { hosts: ['host1', 'host2'], pools })
    for (const name of ['web1', 'web2']) await fleet.ended(await fleet.ask(name, { host: 'host1' }))
    await fleet.stopHost('host1')
    await use(fleet)
    await fleet.stop()
  },
})

const rootOf = (fleet: Fleet) => join(fleet.host('host1').root, 'host')

/** Takes a directory away until `back` is called. */
async function takeAway(directory: string) {
  await rename(directory, `${directory}.away`)
  return {
    async back(): Promise<void> {
      await rm(directory, { recursive: true, force: true })
      await rename(`${directory}.away`, directory)
    },
  }
}

const show = async (fleet: Fleet) => (await fleet.call('GET', '/v1/hosts/host1')).body
const driftsOf = async (fleet: Fleet) => (await show(fleet)).drifts.map((each: any) => [each.jail, each.found])
const leases = async (redis: Parameters<typeof storeOf>[0]) => {
  const { redis: connection, keys } = storeOf(redis)
  return connection.hgetall(keys.leases)
}

describe('a host that comes back with an empty root', () => {
  test('is incompatible, shows its jails as drift and takes no jobs until its root is back', async ({ fleet, redis }) => {
    const before = await leases(redis)
    const root = await takeAway(rootOf(fleet))
    await fleet.startHost('host1')
    await fleet.hostIs('host1', 'incompatible')
    expect((await show(fleet)).reason).toBe(
      `its root ${rootOf(fleet)} is not the one with its 2 jails: mount the file system, or correct root, and start its worker again; if that is lost: provost hosts forget host1`,
    )
    await until('its jails to be drift', async () => (await driftsOf(fleet)).length === 2)
    expect(await driftsOf(fleet)).toEqual([
      ['web1', 'missing'],
      ['web2', 'missing'],
    ])
    await until('the record to say so', async () => (await fleet.jail('web1'))?.reason !== undefined)
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running', reason: "Its host's journal does not have it." })
    const deeds = fleet.host('host1').deeds.length
    const destroyed = await fleet.call('DELETE', '/v1/jails/web1')
    const { id } = destroyed.body.operation
    await until('it to say what it waits for', async () => (await fleet.operation(id)).waiting?.reason.includes('takes no jobs'))
    expect(await fleet.operation(id)).toMatchObject({ status: 'queued' })
    expect(fleet.host('host1').deeds).toHaveLength(deeds)
    expect(await leases(redis)).toEqual(before)

    await fleet.stopHost('host1')
    await root.back()
    await fleet.startHost('host1')
    await fleet.hostIs('host1', 'up')
    expect(await fleet.ended(destroyed)).toMatchObject({ status: 'succeeded' })
    expect(fleet.host('host1').state().jails).toEqual(['web2'])
    await until('its jails to be as recorded', async () => (await driftsOf(fleet)).length === 0)
    await until('the record to be as before', async () => (await fleet.jail('web2'))?.reason === undefined)
  })

  test('is taken as it is once it is forgotten, and the addresses of its old jails stay held', async ({ fleet, redis }) => {
    await takeAway(rootOf(fleet))
    await fleet.startHost('host1')
    await fleet.hostIs('host1', 'incompatible')
    const forgotten = await fleet.call('POST', '/v1/hosts/host1/forget')
    expect(forgotten.body).toEqual({ host: 'host1', operationsFailed: 0, jailsForgotten: 2, addressesHeld: 2 })
    await fleet.hostIs('host1', 'up')
    const made = await fleet.ended(await fleet.ask('web3', { host: 'host1' }))
    expect(made).toMatchObject({ status: 'succeeded' })
    expect(Object.values(await leases(redis)).sort()).toEqual(['forgotten:host1', 'forgotten:host1', 'web3'])

    const stray = { ...storeOf(redis), hosts: { all: () => [{ id: 'host1', state: 'up', pools } as never] }, log: silent }
    for (const hours of [0, 1]) await releaseStrayLeases(stray, Date.now() + hours * 3_600_000)
    expect(Object.values(await leases(redis)).sort()).toEqual(['forgotten:host1', 'forgotten:host1', 'web3'])

    const forecast = await fleet.call('POST', '/v1/hosts/host1/forget?dryRun=true', { poweredOff: true })
    expect(forecast.body).toEqual({
      ...{ dryRun: true, host: 'host1', operations: [], jails: [] },
      ...{ addressesHeld: 0, addressesFreed: 2 },
    })
    const off = await fleet.call('POST', '/v1/hosts/host1/forget', { poweredOff: true })
    expect(off.body).toEqual({ host: 'host1', operationsFailed: 0, jailsForgotten: 0, addressesHeld: 0 })
    expect(Object.values(await leases(redis))).toEqual(['web3'])
    expect(await fleet.call('POST', '/v1/hosts/host1/forget', { poweredOff: true })).toMatchObject({ body: { code: 'host_up' } })
  })
})

test('a host that has lost its journal is incompatible though its jails run', async ({ fleet }) => {
  await rm(join(rootOf(fleet), 'journal'), { recursive: true })
  await fleet.startHost('host1')
  await fleet.hostIs('host1', 'incompatible')
  expect((await show(fleet)).reason).toContain(`the journal in its root ${rootOf(fleet)} does not have its 2 jails`)
})

test('a host from before roots had ids keeps its jails, and has one from then on', async ({ fleet, redis }) => {
  const { redis: connection, keys } = storeOf(redis)
  await rm(join(rootOf(fleet), 'root-id'))
  await connection.del(keys.hostRoot('host1'))
  await fleet.startHost('host1')
  await fleet.hostIs('host1', 'up')
  expect(await connection.get(keys.hostRoot('host1'))).toMatch(/^[0-9a-f-]{36}$/)
})

describe('a jail that its host has lost from its journal', () => {
  const jailFile = (fleet: Fleet, name: string) => join(rootOf(fleet), 'journal', 'jails', `${name}.ndjson`)

  test('is drift, and neither started, stopped nor destroyed: no lease is given back', async ({ fleet, redis }) => {
    const before = await leases(redis)
    await rename(jailFile(fleet, 'web1'), `${jailFile(fleet, 'web1')}.away`)
    await fleet.startHost('host1')
    await fleet.hostIs('host1', 'up')
    await until('it to be drift', async () => (await driftsOf(fleet)).length === 1)
    const deeds = fleet.host('host1').deeds.length
    for (const [method, path] of [
      ['POST', '/restart'],
      ['POST', '/stop'],
      ['POST', '/start'],
      ['DELETE', ''],
    ] as const) {
      const operation = await fleet.ended(await fleet.call(method, `/v1/jails/web1${path}`))
      if (path === '/start') expect(operation).toMatchObject({ status: 'succeeded', steps: [] })
      else
        expect(operation).toMatchObject({
          status: 'failed',
          error: { code: 'journal_conflict', message: 'The journal of host host1 does not have jail web1.' },
        })
    }
    expect(fleet.host('host1').deeds).toHaveLength(deeds)
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running' })
    expect(await leases(redis)).toEqual(before)
  })

  test('is destroyed when ops give it up by name', async ({ fleet, redis }) => {
    await rm(jailFile(fleet, 'web1'))
    await fleet.startHost('host1')
    await until('it to be drift', async () => (await driftsOf(fleet)).length === 1)
    expect((await fleet.call('POST', '/v1/hosts/host1/clean')).body).toEqual({ operations: [] })
    const { client, world, addresses } = (await fleet.jail('web1')) ?? {}
    expect(await fleet.call('POST', '/v1/hosts/host1/clean?dryRun=true', { jails: ['web1'] })).toMatchObject({
      body: { dryRun: true, jails: [{ name: 'web1', client, world, addresses, since: expect.any(String) }] },
    })
    const cleaned = await fleet.call('POST', '/v1/hosts/host1/clean', { jails: ['web1'] })
    const [operation] = cleaned.body.operations
    expect(await fleet.ended({ ...cleaned, body: { operation } })).toMatchObject({ kind: 'destroy', status: 'succeeded' })
    expect(fleet.host('host1').state()).toEqual({ roots: ['web2'], networks: ['web2'], jails: ['web2'] })
    expect(Object.values(await leases(redis))).toEqual(['web2'])
    await until('no drift to be left', async () => (await driftsOf(fleet)).length === 0)
  })

  test('whose file cannot be read keeps no other from starting, and its file is named', async ({ fleet }) => {
    await writeFile(jailFile(fleet, 'web1'), '{"type":"jail"\n')
    await fleet.startHost('host1')
    await fleet.hostIs('host1', 'up')
    await until('it to be drift', async () => (await driftsOf(fleet)).length === 1)
    const [aside] = (await readdir(join(rootOf(fleet), 'journal', 'jails'))).filter((name) => name.startsWith('web1'))
    expect(aside).toMatch(/^web1\.ndjson\.unreadable-/)
    const [{ reason }] = (await show(fleet)).drifts
    expect(reason).toContain(join(rootOf(fleet), 'journal', 'jails', aside ?? ''))
    expect(await fleet.ended(await fleet.call('POST', '/v1/jails/web2/restart'))).toMatchObject({ status: 'succeeded' })
    expect(await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))).toMatchObject({
      status: 'failed',
      error: { code: 'journal_conflict', message: expect.stringContaining(aside ?? '') },
    })
  })
})

test('a journal that is taken away under its worker is said at once, and nothing is done until it is back', async ({ fleet }) => {
  await fleet.startHost('host1')
  await fleet.hostIs('host1', 'up')
  const journal = await takeAway(join(rootOf(fleet), 'journal'))
  const deeds = fleet.host('host1').deeds.length
  const asked = await fleet.call('POST', '/v1/jails/web1/restart')
  await fleet.hostIs('host1', 'incompatible')
  expect((await show(fleet)).reason).toContain('was taken away under its worker')
  const { id } = asked.body.operation
  await until('it to say so', async () => (await fleet.operation(id)).waiting?.reason.includes('was taken away'))
  expect(fleet.host('host1').deeds).toHaveLength(deeds)
  await journal.back()
  expect(await fleet.ended(asked)).toMatchObject({ status: 'succeeded' })
  await fleet.hostIs('host1', 'up')
})

test('a new jail is not made in the files that a lost journal has left of another one', async ({ fleet }) => {
  await rm(join(rootOf(fleet), 'journal'), { recursive: true })
  await fleet.startHost('host1')
  await fleet.hostIs('host1', 'incompatible')
  await fleet.call('POST', '/v1/hosts/host1/forget')
  await fleet.hostIs('host1', 'up')
  expect(await fleet.ended(await fleet.ask('web1', { host: 'host1' }))).toMatchObject({
    status: 'failed',
    error: { code: 'journal_conflict' },
  })
})
