import { pino } from 'pino'
import { expect } from 'vitest'
import { forgetHost } from '../../../producer/hosts/forget-host.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

const pools = [{ name: 'shared', cidr: '10.99.7.0/29', gateway: '10.99.7.1', exclude: [] }]

test('a host that is up cannot be forgotten, and one that there is not is not found', async ({ redis }) => {
  const fleet = await startFleet(redis)
  expect(await fleet.call('POST', '/v1/hosts/host1/forget')).toMatchObject({ status: 409, body: { code: 'host_up' } })
  expect(await fleet.call('POST', '/v1/hosts/host9/forget')).toMatchObject({ status: 404, body: { code: 'not_found' } })
  await fleet.stop()
})

test('a dry run of forgetting a host says what would go, and leaves all of it', async ({ redis }) => {
  const fleet = await startFleet(redis, { hosts: ['host1'], pools })
  const forget = (query = '', body = {}) => fleet.call('POST', `/v1/hosts/host1/forget${query}`, body)
  expect(await forget('?dryRun=true')).toMatchObject({ status: 409, body: { code: 'host_up' } })
  for (const name of ['web1', 'web2']) await fleet.ended(await fleet.ask(name))
  await fleet.stopHost('host1')
  await fleet.hostIs('host1', 'down')
  const { operation } = (await fleet.call('POST', '/v1/jails/web1/stop')).body
  const jail = { client: 'acme', state: 'running' }
  const going = {
    dryRun: true,
    host: 'host1',
    operations: [{ id: operation.id, kind: 'stop', jail: 'web1' }],
    jails: [
      { ...jail, name: 'web1', addresses: ['10.99.7.2/29'] },
      { ...jail, name: 'web2', addresses: ['10.99.7.3/29'] },
    ],
    addressesHeld: 2,
    addressesFreed: 0,
  }
  expect(await forget('?dryRun=true')).toMatchObject({ status: 200, body: going })
  expect((await forget('?dryRun=true', { poweredOff: true })).body).toMatchObject({ addressesHeld: 0, addressesFreed: 2 })
  expect((await fleet.call('GET', '/v1/jails')).body.items).toHaveLength(2)
  expect((await forget()).body).toEqual({ host: 'host1', operationsFailed: 1, jailsForgotten: 2, addressesHeld: 2 })
  // What it would do to a host that is forgotten already.
  expect((await forget('?dryRun=true', { poweredOff: true })).body).toMatchObject({ jails: [], addressesFreed: 2 })
  await fleet.stop()
})

test('an operation that is asked for while its host is being forgotten fails with the others', async ({ redis }) => {
  const fleet = await startFleet(redis, { hosts: ['host1'], pools })
  await fleet.ended(await fleet.ask('web1'))
  await fleet.stopHost('host1')
  await fleet.hostIs('host1', 'down')
  const store = storeOf(redis)
  let late: Awaited<ReturnType<typeof fleet.call>> | undefined
  const deps = {
    ...store,
    log: pino({ level: 'silent' }),
    // What waits was ended by now.
    records: {
      ...store.records,
      async jails(names: string[]) {
        late ??= await fleet.call('POST', '/v1/jails/web1/stop')
        return store.records.jails(names)
      },
    },
    hosts: { get: () => undefined },
    recovery: { waitsFor: () => false, forget: async () => undefined },
  }
  expect(await forgetHost(deps, 'host1', false)).toMatchObject({ operationsFailed: 1, jailsForgotten: 1 })
  expect(await fleet.ended(late as NonNullable<typeof late>)).toMatchObject({ error: { code: 'host_forgotten' } })
  await fleet.stop()
})

test('what only a forgotten host could do is not tried again', async ({ redis }) => {
  const fleet = await startFleet(redis)
  await fleet.stopHost('host1')
  const fill = await fleet.call('POST', '/v1/hosts/host1/worlds/tiny/fill')
  await fleet.hostIs('host1', 'down')
  await fleet.call('POST', '/v1/hosts/host1/forget')
  const { id, error } = await fleet.ended(fill)
  expect(error?.code).toBe('host_forgotten')
  const retried = await fleet.call('POST', `/v1/operations/${id}/retry`)
  expect([retried.status, retried.body.code]).toEqual([409, 'not_retryable'])
  expect((await fleet.operation(id)).status).toBe('failed')
  await fleet.stop()
})

test('a forgotten host keeps its addresses until what is on it is adopted or cleaned', async ({ redis }) => {
  const fleet = await startFleet(redis, { hosts: ['host1', 'host2'], pools })
  for (const name of ['web1', 'web2', 'web3']) await fleet.ended(await fleet.ask(name, { host: 'host1' }))
  const kept = await fleet.jail('web1')
  await fleet.stopHost('host1')
  await fleet.hostIs('host1', 'down')
  const stuck = await fleet.call('POST', '/v1/jails/web3/stop')

  const forgotten = await fleet.call('POST', '/v1/hosts/host1/forget')
  expect(forgotten.body).toEqual({ host: 'host1', operationsFailed: 1, jailsForgotten: 3, addressesHeld: 3 })
  expect(await fleet.ended(stuck)).toMatchObject({ status: 'failed', error: { code: 'host_forgotten' } })
  expect(await fleet.call('GET', '/v1/hosts/host1')).toMatchObject({ status: 404 })
  expect(await fleet.call('GET', '/v1/jails/web1')).toMatchObject({ status: 404 })

  // Of the five addresses of the pool three are held; the name is free again.
  expect((await fleet.ask('web3')).status).toBe(202)
  expect((await fleet.ask('web4')).status).toBe(202)
  expect(await fleet.ask('web5')).toMatchObject({ status: 409, body: { code: 'no_free_address' } })

  await fleet.startHost('host1')
  const orphans = await until('its orphans to be seen', async () => {
    const { drifts } = (await fleet.call('GET', '/v1/hosts/host1')).body
    return drifts?.length === 3 && drifts
  })
  expect(orphans.map(({ jail, found }: { jail: string; found: string }) => [jail, found])).toEqual([
    ['web1', 'orphan'],
    ['web2', 'orphan'],
    ['web3', 'orphan'],
  ])
  expect(fleet.host('host1').state().jails).toEqual(['web1', 'web2', 'web3'])

  const adopted = await fleet.call('POST', '/v1/hosts/host1/adopt', { jails: ['web1', 'web3'] })
  expect(adopted.body).toEqual({
    adopted: ['web1'],
    refused: [{ jail: 'web3', code: 'name_taken', detail: 'The fleet has another jail called web3.' }],
  })
  expect(await fleet.jail('web1')).toMatchObject({ state: 'running', host: 'host1', addresses: kept?.addresses })

  // What was adopted is no orphan any more, however late its host may know.
  expect(await fleet.call('POST', '/v1/hosts/host1/clean', { jails: ['web1'] })).toMatchObject({ status: 404 })
  const cleaned = await fleet.call('POST', '/v1/hosts/host1/clean', { jails: ['web2', 'web3'] })
  expect(cleaned.status).toBe(202)
  for (const operation of cleaned.body.operations)
    expect(await fleet.ended({ ...cleaned, body: { operation } })).toMatchObject({ kind: 'destroy', status: 'succeeded' })
  expect(fleet.host('host1').state()).toEqual({ roots: ['web1'], networks: ['web1'], jails: ['web1'] })
  expect(await fleet.jail('web3')).toMatchObject({ host: 'host2' })
  await until('no drift to be left', async () => (await fleet.call('GET', '/v1/hosts/host1')).body.drifts.length === 0)
  expect((await fleet.ask('web5')).status).toBe(202)
  expect((await fleet.ask('web6')).status).toBe(202)

  // The adopted jail is one of the fleet in all things.
  expect(await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))).toMatchObject({ status: 'succeeded' })
  expect(fleet.host('host1').state().jails).not.toContain('web1')
  await fleet.stop()
})

test('a host that comes back under another name has its jails adopted, with the addresses that are held for them', async ({
  redis,
}) => {
  const fleet = await startFleet(redis, { hosts: ['host1'], pools })
  for (const name of ['web1', 'web2']) await fleet.ended(await fleet.ask(name))
  const kept = await fleet.jail('web1')
  await fleet.stopHost('host1')
  await fleet.hostIs('host1', 'down')
  await fleet.call('POST', '/v1/hosts/host1/forget')
  // Held for another jail, as after a mistake.
  const { redis: connection, keys } = storeOf(redis)
  const second =
    (await connection.hkeys(keys.heldLeases('host1'))).find((each) => !kept?.addresses[0]?.startsWith(`${each}/`)) ?? ''
  await connection.hset(keys.heldFor('host1'), second, JSON.stringify({ provision: '01936c3e-0000-7000-8000-000000000009' }))

  fleet.renameHost('host1', 'host9')
  await fleet.startHost('host9')
  await until('its orphans to be seen', async () => (await fleet.call('GET', '/v1/hosts/host9')).body.drifts?.length === 2)
  expect((await fleet.call('POST', '/v1/hosts/host9/adopt')).body).toEqual({
    adopted: ['web1'],
    refused: [{ jail: 'web2', code: 'address_taken', detail: `Its address ${second} is leased to forgotten:host1.` }],
  })
  expect(await fleet.jail('web1')).toMatchObject({ state: 'running', host: 'host9', addresses: kept?.addresses })
  expect(await connection.hkeys(keys.heldLeases('host1'))).toEqual([second])
  expect(await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))).toMatchObject({ status: 'succeeded' })
  await fleet.stop()
})

test('the addresses that are held for jails of a host that has another name now are its, until they are cleaned there', async ({
  redis,
}) => {
  const fleet = await startFleet(redis, { hosts: ['host1'], pools })
  for (const name of ['web1', 'web2']) await fleet.ended(await fleet.ask(name))
  await fleet.stopHost('host1')
  await fleet.hostIs('host1', 'down')
  await fleet.call('POST', '/v1/hosts/host1/forget')
  const { redis: connection, keys } = storeOf(redis)
  const holders = async () => (await connection.hvals(keys.leases)).sort()
  expect(await holders()).toEqual(['forgotten:host1', 'forgotten:host1'])

  fleet.renameHost('host1', 'host9')
  await fleet.startHost('host9')
  await until('its orphans to be seen', async () => (await fleet.call('GET', '/v1/hosts/host9')).body.drifts?.length === 2)
  const cleaned = await fleet.call('POST', '/v1/hosts/host9/clean', { jails: ['web1'] })
  const [operation] = cleaned.body.operations
  expect(await fleet.ended({ ...cleaned, body: { operation } })).toMatchObject({ status: 'succeeded' })
  await until('the other one to be held for its host', async () => (await holders()).join() === 'forgotten:host9')
  // Its old name is powered off, but the jail lives.
  await fleet.call('POST', '/v1/hosts/host1/forget', { poweredOff: true })
  expect(await holders()).toEqual(['forgotten:host9'])
  await fleet.call('POST', '/v1/hosts/host9/clean')
  await until('its address to be free', async () => (await holders()).length === 0)
  expect(fleet.host('host9').state().roots).toEqual([])
  await fleet.stop()
})

test('the addresses of a forgotten host come back when ops say that it is powered off', async ({ redis }) => {
  const fleet = await startFleet(redis, { hosts: ['host1', 'host2'], pools })
  await fleet.ended(await fleet.ask('web1', { host: 'host1', addresses: ['10.99.7.4'] }))
  await fleet.stopHost('host1')
  await fleet.hostIs('host1', 'down')
  await fleet.call('POST', '/v1/hosts/host1/forget', {})
  expect(await fleet.ask('web2', { addresses: ['10.99.7.4'] })).toMatchObject({ body: { code: 'address_taken' } })
  const { body } = await fleet.call('POST', '/v1/hosts/host1/forget', { poweredOff: true })
  expect(body).toEqual({ host: 'host1', operationsFailed: 0, jailsForgotten: 0, addressesHeld: 0 })
  expect(await fleet.ask('web2', { addresses: ['10.99.7.4'] })).toMatchObject({ status: 202 })
  expect(await fleet.call('POST', '/v1/hosts/host1/forget', { poweredOff: true })).toMatchObject({ status: 404 })
  await fleet.stop()
})
