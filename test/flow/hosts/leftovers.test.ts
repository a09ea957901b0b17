import { expect } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import type { Fleet } from '../../support/fleets/fleet.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { until } from '../../support/until.ts'

const path = '/v1/hosts/host1/leftovers'
const nothing = { roots: [], networks: [], jails: [] }

/** A provision that fails and whose root does not go away. */
async function leaveRoot(fleet: Fleet, why = 'busy for good'): Promise<string> {
  const fail = (message: string) => () => {
    throw new ProvostError('command_failed', message)
  }
  fleet.host().before('ensureNetwork', fail('no bridge'))
  fleet.host().before('removeRoot', fail(why))
  const { id, status } = await fleet.ended(await fleet.ask('web1'))
  expect(status).toBe('failed')
  return id
}

const itemsOf = async (fleet: Fleet) => (await fleet.call('GET', path)).body.items
const attemptsOf = async (fleet: Fleet) => (await itemsOf(fleet))[0]?.attempts

test('what an undo could not remove is listed, counted, and removed once that is possible', async ({ fleet }) => {
  await leaveRoot(fleet)
  const [item] = await until('it to be listed', async () => (await itemsOf(fleet)).length > 0 && itemsOf(fleet))
  expect(item).toEqual({
    jail: 'web1',
    steps: ['clone-root'],
    since: expect.any(String),
    attempts: 0,
    lastError: 'no bridge Undoing it failed, too: clone-root: busy for good',
    nextTryAt: new Date(Date.parse(item.since) + 60_000).toISOString(),
  })
  const metric = 'provost_host_leftovers{host="host1"} 1'
  await until('it to be counted', async () => (await fleet.call('GET', '/metrics')).text.includes(metric))
  expect((await fleet.call('GET', '/v1/hosts/host1')).body.leftovers).toBe(1)

  fleet.host().clear('removeRoot')
  expect((await fleet.call('POST', `${path}/retry`)).status).toBe(202)
  await until('nothing to be left', async () => (await itemsOf(fleet)).length === 0)
  expect(fleet.host().state()).toEqual(nothing)
  // The jail keeps its name and its leases for a retry, as any that failed.
  expect(await fleet.jail('web1')).toMatchObject({ state: 'failed', addresses: ['10.99.0.2/24'] })
})

test('a try that fails says why, is counted also after a restart, and makes the next one wait longer', async ({ fleet }) => {
  await leaveRoot(fleet)
  await until('it to be listed', async () => (await attemptsOf(fleet)) === 0)
  await fleet.call('POST', `${path}/retry`)
  const [item] = await until(
    'it to be tried',
    async () => (await itemsOf(fleet))[0]?.lastError === 'busy for good' && itemsOf(fleet),
  )
  expect(item.attempts).toBe(1)
  await fleet.stopHost()
  await fleet.startHost('host1')
  expect(await itemsOf(fleet)).toEqual([item])
  await fleet.call('POST', `${path}/retry`)
  await until('it to be tried again', async () => (await attemptsOf(fleet)) === 2)
})

test('a retry by a person takes over what was left', async ({ fleet }) => {
  const id = await leaveRoot(fleet)
  await until('it to be listed', async () => (await attemptsOf(fleet)) === 0)
  fleet.host().clear('ensureNetwork')
  expect((await fleet.ended(await fleet.call('POST', `/v1/operations/${id}/retry`))).status).toBe('succeeded')
  await until('nothing to be listed', async () => (await itemsOf(fleet)).length === 0)
  expect(fleet.host().state()).toEqual({ roots: ['web1'], networks: ['web1'], jails: ['web1'] })
})

test('what a stop could not take down is listed and taken down later; what it could not stop runs as it did', async ({
  fleet,
}) => {
  await fleet.ended(await fleet.ask('web1'))
  const running = await fleet.jail('web1')
  const fail = () => {
    throw new ProvostError('command_failed', 'no bridge')
  }
  fleet.host().before('removeJail', fail)
  expect((await fleet.ended(await fleet.call('POST', '/v1/jails/web1/stop'))).status).toBe('failed')
  expect(await fleet.jail('web1')).toMatchObject({ state: 'running', jid: running?.jid ?? 0 })
  expect(await itemsOf(fleet)).toEqual([])

  fleet.host().clear('removeJail')
  fleet.host().before('removeNetwork', fail)
  expect((await fleet.ended(await fleet.call('POST', '/v1/jails/web1/stop'))).status).toBe('failed')
  expect(await fleet.jail('web1')).toMatchObject({ state: 'stopped', jid: null })
  const items = await until('it to be listed', async () => (await itemsOf(fleet)).length > 0 && itemsOf(fleet))
  expect(items).toMatchObject([{ jail: 'web1', steps: ['detach-network'], lastError: 'no bridge' }])
  fleet.host().clear('removeNetwork')
  await fleet.call('POST', `${path}/retry`)
  await until('nothing to be left', async () => (await itemsOf(fleet)).length === 0)
  expect(fleet.host().state()).toEqual({ ...nothing, roots: ['web1'] })
})

test('what a destroy could not remove is removed, but its jail is gone only by a retry of the destroy', async ({ fleet }) => {
  await fleet.ended(await fleet.ask('web1'))
  fleet.host().before('removeNetwork', () => {
    throw new ProvostError('command_failed', 'no bridge')
  })
  const failed = await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))
  const items = await until('it to be listed', async () => (await itemsOf(fleet)).length > 0 && itemsOf(fleet))
  expect(items).toMatchObject([{ jail: 'web1', steps: ['detach-network', 'remove-root'], lastError: 'no bridge' }])
  fleet.host().clear('removeNetwork')
  await fleet.call('POST', `${path}/retry`)
  await until('nothing to be left', async () => (await itemsOf(fleet)).length === 0)
  expect(fleet.host().state()).toEqual(nothing)
  expect(await fleet.jail('web1')).toMatchObject({ state: 'destroying', addresses: ['10.99.0.2/24'] })
  expect((await fleet.ended(await fleet.call('POST', `/v1/operations/${failed.id}/retry`))).status).toBe('succeeded')
  expect((await fleet.call('GET', '/v1/jails/web1')).status).toBe(404)
})

test('a jail whose start could not be undone is taken down, not taken for one that was started by hand', async ({ fleet }) => {
  await fleet.ended(await fleet.ask('web1'))
  await fleet.ended(await fleet.call('POST', '/v1/jails/web1/stop'))
  const fail = () => {
    throw new ProvostError('command_failed', 'it does not end')
  }
  fleet.host().before('proveIsolation', fail)
  fleet.host().before('removeJail', fail)
  expect((await fleet.ended(await fleet.call('POST', '/v1/jails/web1/start'))).status).toBe('failed')
  await until('it to be listed', async () => (await attemptsOf(fleet)) === 0)
  expect(fleet.host().state().jails).toEqual(['web1'])
  fleet.host().clear('removeJail')
  await fleet.call('POST', `${path}/retry`)
  await until('nothing to be left', async () => (await itemsOf(fleet)).length === 0)
  expect(fleet.host().state()).toEqual({ roots: ['web1'], networks: [], jails: [] })
  expect(await fleet.jail('web1')).toMatchObject({ state: 'stopped' })
})

test('a host that is not there cannot be asked, and one that there is not is not found', async ({ fleet }) => {
  expect(await itemsOf(fleet)).toEqual([])
  expect((await fleet.call('GET', '/v1/hosts/host9/leftovers')).status).toBe(404)
  await fleet.stopHost()
  const refused = await fleet.call('POST', `${path}/retry`)
  expect([refused.status, refused.body.code]).toEqual([409, 'host_down'])
})
