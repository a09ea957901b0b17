import { describe, expect } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { makeGate } from '../../support/gate.ts'
import { test as withRedis } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

describe('a jail', () => {
  test('is running, and proven isolated, when its operation has succeeded', async ({ fleet }) => {
    const asked = await fleet.ask('web1', {
      hostname: 'www.example.com',
      limits: { memory: '128M', cpu: 0.5 },
      labels: { tier: 'gold' },
    })
    expect(asked.status).toBe(202)
    expect(asked.headers.get('location')).toBe(`/v1/operations/${asked.body.operation.id}`)
    expect(asked.body.jail).toMatchObject({ name: 'web1', state: 'queued', host: 'host1', addresses: ['10.99.0.2/24'] })

    const operation = await fleet.ended(asked)
    expect(operation).toMatchObject({
      kind: 'provision',
      jail: 'web1',
      status: 'succeeded',
      percent: 100,
      attempt: 1,
      step: null,
    })
    expect(operation.steps.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'fill-world succeeded',
      'clone-root succeeded',
      'attach-network succeeded',
      'start-jail succeeded',
      'run-command succeeded',
      'prove-isolation succeeded',
    ])
    const jail = await fleet.jail('web1')
    expect(jail).toMatchObject({
      client: 'acme',
      hostname: 'www.example.com',
      world: 'tiny',
      host: 'host1',
      addresses: ['10.99.0.2/24'],
      limits: { memory: 128 * 2 ** 20, cpu: 0.5, processes: 100 },
      labels: { tier: 'gold' },
      state: 'running',
      jid: 1001,
      epoch: 1,
      lastOperation: operation.id,
    })
    expect(jail?.isolation?.checks.map(({ name }) => name)).toEqual([
      'hostname',
      'addresses',
      'processes',
      'root',
      'devices',
      'privileges',
    ])
  })

  test('stops, starts, restarts and is destroyed, each as an operation of its own', async ({ fleet }) => {
    await fleet.ended(await fleet.ask('web1'))
    fleet.host().deeds.length = 0
    for (const [verb, state] of [
      ['stop', 'stopped'],
      ['start', 'running'],
      ['restart', 'running'],
    ] as const) {
      const operation = await fleet.ended(await fleet.call('POST', `/v1/jails/web1/${verb}`))
      expect(operation).toMatchObject({ kind: verb, status: 'succeeded', percent: 100 })
      expect((await fleet.jail('web1'))?.state).toBe(state)
    }
    const destroyed = await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))
    expect(destroyed).toMatchObject({ kind: 'destroy', status: 'succeeded' })
    expect((await fleet.call('GET', '/v1/jails/web1')).status).toBe(404)
    expect(fleet.host().state()).toEqual({ roots: [], networks: [], jails: [] })
    expect(fleet.host().deeds.map((deed) => deed.split(' ')[0])).toEqual([
      ...['removeJail', 'removeNetwork'],
      ...['mountRoot', 'ensureNetwork', 'ensureJail', 'startCommand', 'proveIsolation'],
      ...['removeJail', 'removeNetwork', 'mountRoot', 'ensureNetwork', 'ensureJail', 'startCommand', 'proveIsolation'],
      ...['removeJail', 'removeNetwork', 'removeRoot'],
    ])
    const { promised } = (await fleet.call('GET', '/v1/hosts/host1')).body
    await until(
      'the promise to be given back',
      async () => (await fleet.call('GET', '/v1/hosts/host1')).body.promised.jails === 0,
    )
    expect(promised).toBeDefined()
  })

  test('that runs needs no start, and one that is stopped no stop: done at once, without steps', async ({ fleet }) => {
    await fleet.ended(await fleet.ask('web1'))
    const started = await fleet.call('POST', '/v1/jails/web1/start')
    expect([started.status, started.body.operation.status, started.body.operation.steps]).toEqual([202, 'succeeded', []])
    await fleet.ended(await fleet.call('POST', '/v1/jails/web1/stop'))
    const stopped = await fleet.call('POST', '/v1/jails/web1/stop')
    expect([stopped.status, stopped.body.operation.status, stopped.body.operation.steps]).toEqual([202, 'succeeded', []])
  })

  test('takes one operation at a time, and says which one is at work', async ({ fleet }) => {
    const gate = makeGate()
    await fleet.ended(await fleet.ask('web1'))
    fleet.host().before('removeJail', gate.wait)
    const first = await fleet.call('POST', '/v1/jails/web1/restart')
    for (const verb of ['start', 'stop', 'restart']) {
      const second = await fleet.call('POST', `/v1/jails/web1/${verb}`)
      expect([second.status, second.body.code]).toEqual([409, 'jail_busy'])
      expect(second.body.detail).toContain(first.body.operation.id)
    }
    gate.open()
    expect((await fleet.ended(first)).status).toBe('succeeded')
  })

  test('is left with nothing on its host when its provision fails, keeps its name and leases, and can be retried', async ({
    fleet,
  }) => {
    fleet.host().before('ensureJail', () => {
      throw new ProvostError('command_failed', 'runc ended with exit code 1: no.', {
        command: 'runc run web1',
        exitCode: 1,
        logTail: 'no',
      })
    })
    const asked = await fleet.ask('web1')
    const failed = await fleet.ended(asked)
    expect(failed.error).toEqual({
      code: 'command_failed',
      message: 'runc ended with exit code 1: no.',
      hint: expect.stringContaining('log'),
      step: 'start-jail',
      command: 'runc run web1',
      exitCode: 1,
      logTail: 'no',
    })
    expect(failed.steps.map(({ status }) => status)).toEqual(['succeeded', 'undone', 'undone', 'failed', 'pending', 'pending'])
    expect(failed.percent).toBeLessThan(100)
    expect(fleet.host().state()).toEqual({ roots: [], networks: [], jails: [] })
    expect(await fleet.jail('web1')).toMatchObject({ state: 'failed', addresses: ['10.99.0.2/24'] })

    const refused = await fleet.call('POST', '/v1/jails/web1/start')
    expect([refused.status, refused.body.code]).toEqual([409, 'jail_failed'])
    expect((await fleet.ask('web1')).body.code).toBe('name_taken')

    fleet.host().clear('ensureJail')
    const retried = await fleet.call('POST', `/v1/operations/${failed.id}/retry`)
    expect([retried.status, retried.body.operation.id, retried.body.operation.attempt]).toEqual([202, failed.id, 2])
    const succeeded = await fleet.ended(retried)
    expect(succeeded).toMatchObject({ id: failed.id, status: 'succeeded', attempt: 2 })
    expect(succeeded.error).toBeUndefined()
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running', addresses: ['10.99.0.2/24'] })

    const again = await fleet.call('POST', `/v1/operations/${failed.id}/retry`)
    expect([again.status, again.body.code]).toEqual([409, 'not_retryable'])
  })

  test('that failed can be destroyed', async ({ fleet }) => {
    fleet.host().before('ensureNetwork', () => {
      throw new ProvostError('command_failed', 'no')
    })
    await fleet.ended(await fleet.ask('web1'))
    expect((await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))).status).toBe('succeeded')
    expect((await fleet.call('GET', '/v1/jails/web1')).status).toBe(404)
  })

  test('whose start fails is stopped, not lost', async ({ fleet }) => {
    await fleet.ended(await fleet.ask('web1'))
    fleet.host().before('proveIsolation', () => {
      throw new ProvostError('isolation_unproven', 'it sees the host')
    })
    const restarted = await fleet.ended(await fleet.call('POST', '/v1/jails/web1/restart'))
    expect([restarted.status, restarted.error?.code]).toEqual(['failed', 'isolation_unproven'])
    expect(await fleet.jail('web1')).toMatchObject({ state: 'stopped', jid: null })
    expect(fleet.host().state()).toEqual({ roots: ['web1'], networks: [], jails: [] })
    fleet.host().clear('proveIsolation')
    expect((await fleet.ended(await fleet.call('POST', '/v1/jails/web1/start'))).status).toBe('succeeded')
  })

  test('gets over a transient fault by trying the step again', async ({ fleet }) => {
    let faults = 1
    fleet.host().before('ensureRoot', () => {
      if (faults-- > 0) throw new ProvostError('resource_busy', 'still mounted')
    })
    const operation = await fleet.ended(await fleet.ask('web1'))
    expect(operation).toMatchObject({ status: 'succeeded', attempt: 1 })
    expect(operation.steps.find(({ name }) => name === 'clone-root')?.attempt).toBe(2)
  })

  test('whose command was begun and not ended has that ended before it is begun again', async ({ fleet }) => {
    let faults = 1
    fleet.host().before('startCommand', () => {
      if (faults-- > 0) throw new ProvostError('resource_busy', 'cut short')
    })
    expect((await fleet.ended(await fleet.ask('web1'))).status).toBe('succeeded')
    const deeds = fleet.host().deeds.filter((deed) => /Command/.test(deed))
    expect(deeds).toEqual(['startCommand web1', 'endCommand web1', 'startCommand web1'])
  })

  withRedis('gives its slot to others while it waits long for the next try, and says so', async ({ redis }) => {
    const retry = { maxAttempts: 3, firstDelayMs: 400, maxDelayMs: 400, keepSlotMs: 0 }
    const fleet = await startFleet(redis, { retry, capacity: { builds: 1 } })
    let faults = 2
    fleet.host().before('ensureRoot', (jail) => {
      if (jail.name === 'web1' && faults-- > 0) throw new ProvostError('resource_busy', 'still mounted')
    })
    const asked = await fleet.ask('web1')
    await until('it to wait', async () => {
      const { waiting } = await fleet.operation(asked.body.operation.id)
      return waiting?.reason === 'retry in 1 s: still mounted'
    })
    expect((await fleet.ended(await fleet.ask('web2'))).status).toBe('succeeded')
    const operation = await fleet.ended(asked)
    expect(operation).toMatchObject({ status: 'succeeded', attempt: 1 })
    expect(operation.waiting).toBeUndefined()
    expect(operation.steps.find(({ name }) => name === 'clone-root')?.attempt).toBe(3)
    await fleet.stop()
  })

  test('whose undo fails is failed and keeps its leases, and the operation says what is left', async ({ fleet }) => {
    fleet.host().before('ensureJail', () => {
      throw new ProvostError('command_failed', 'no')
    })
    fleet.host().before('removeRoot', () => {
      throw new ProvostError('command_failed', 'the root is in use')
    })
    const failed = await fleet.ended(await fleet.ask('web1'))
    expect(failed.error?.message).toContain('clone-root: the root is in use')
    expect(fleet.host().state()).toEqual({ roots: ['web1'], networks: [], jails: [] })
    fleet.host().clear('removeRoot')
    expect((await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))).status).toBe('succeeded')
    expect(fleet.host().state()).toEqual({ roots: [], networks: [], jails: [] })
  })
})
