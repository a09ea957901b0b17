import { describe, expect } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import { failuresOf } from '../../../producer/batches/faults/find-causes.ts'
import { type Fleet, startFleet } from '../../support/fleets/fleet.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test } from '../../support/redis/redis-test.ts'
import { csv, csvOf } from '../../support/samples/batch-file.ts'

const namesIn = async (fleet: Fleet) =>
  (await fleet.call('GET', '/v1/jails?limit=500')).body.items.map(({ name }: { name: string }) => name)

describe('the destroy of a batch', () => {
  test('removes what the batch made, failed jails too, and no other jail with a name of its rows', async ({ redis }) => {
    const fleet = await startFleet(redis)
    fleet.host().before('ensureRoot', ({ name }) => {
      if (name === 'row3') throw new ProvostError('command_failed', 'no')
    })
    await fleet.ended(await fleet.ask('row1'))
    const { id } = (await fleet.postBatch(csv, csvOf(6, 'row'), '?name=spring')).body.batch
    await fleet.batchEnded(id)
    // Another jail has the name of row 2 by now.
    await fleet.ended(await fleet.call('DELETE', '/v1/jails/row2'))
    await fleet.ended(await fleet.ask('row2', { client: 'other' }))

    const tried = await fleet.call('POST', '/v1/batches/spring/destroy?dryRun=true')
    const row = (line: number, state: string) => ({ line, name: `row${line - 1}`, client: 'acme', host: 'host1', state })
    expect([tried.status, tried.body]).toEqual([
      200,
      {
        ...{ dryRun: true, batch: id, more: 0, hosts: { host1: 4 }, kept: 2 },
        jails: [row(4, 'failed'), row(5, 'running'), row(6, 'running'), row(7, 'running')],
      },
    ])
    expect(await namesIn(fleet)).toHaveLength(6)

    const destroy = await fleet.call('POST', `/v1/batches/${id}/destroy`)
    expect(destroy).toMatchObject({
      status: 202,
      body: { batch: { name: 'destroy-spring', destroys: id, status: 'running', counts: { queued: 4 } } },
    })
    expect(destroy.headers.get('location')).toBe(`/v1/batches/${destroy.body.batch.id}`)
    expect(await fleet.batchEnded(destroy.body.batch.id)).toMatchObject({ status: 'succeeded', counts: { succeeded: 4 } })
    expect(await namesIn(fleet)).toEqual(['row1', 'row2'])
    expect(fleet.host().state().jails.toSorted()).toEqual(['row1', 'row2'])
    expect((await fleet.batch(id)).destroyedBy).toBe(destroy.body.batch.id)

    const { items } = (await fleet.call('GET', '/v1/batches/destroy-spring/report.json')).body
    expect(items[0]).toMatchObject({ line: 4, name: 'row3', client: 'acme', world: 'tiny', state: 'succeeded', host: 'host1' })
    const again = (await fleet.call('POST', '/v1/batches/spring/destroy')).body.batch
    expect(await fleet.batchEnded(again.id)).toMatchObject({ status: 'succeeded', counts: { succeeded: 0 } })
    await fleet.stop()
  })

  test('is paced, paused, asked for once, and retried where a host does not let go', async ({ redis }) => {
    const fleet = await startFleet(redis)
    const { id } = (await fleet.postBatch(csv, csvOf(12, 'row'))).body.batch
    expect(await fleet.call('POST', `/v1/batches/${id}/destroy`)).toMatchObject({ status: 409, body: { code: 'batch_open' } })
    await fleet.batchEnded(id)
    const gate = makeGate()
    let most = 0
    let atOnce = 0
    fleet.host().before('removeJail', async ({ name }) => {
      atOnce += 1
      most = Math.max(most, atOnce)
      await gate.wait()
      atOnce -= 1
      if (name === 'row5') throw new ProvostError('command_failed', 'it does not let go')
    })
    const ask = () => fleet.call('POST', `/v1/batches/${id}/destroy`, { maxInFlight: 2 }, { 'idempotency-key': 'once' })
    const { batch } = (await ask()).body
    expect((await ask()).body.batch.id).toBe(batch.id)
    expect((await fleet.call('POST', `/v1/batches/${id}/destroy`)).body.batch.id).toBe(batch.id)
    await fleet.batchIs(batch.id, 'two to be at work', ({ counts }) => counts.running === 2)
    await fleet.call('POST', `/v1/batches/${batch.id}/pause`)
    gate.open()
    await fleet.batchIs(batch.id, 'those to end', ({ counts }) => counts.running === 0)
    expect((await fleet.batch(batch.id)).counts).toMatchObject({ succeeded: 2, queued: 10 })
    await fleet.call('POST', `/v1/batches/${batch.id}/resume`)
    const failed = await fleet.batchEnded(batch.id)
    expect(failed).toMatchObject({ status: 'failed', counts: { succeeded: 11, failed: 1 } })
    expect(failed.causes).toMatchObject([{ code: 'command_failed', world: '', count: 1 }])
    expect(most).toBe(2)
    fleet.host().clear('removeJail')
    await fleet.call('POST', `/v1/batches/${batch.id}/retry`)
    expect(await fleet.batchEnded(batch.id)).toMatchObject({ status: 'succeeded', counts: { succeeded: 12 } })
    expect(await namesIn(fleet)).toEqual([])
    await fleet.stop()
  })

  test('waits for a jail at which somebody is at work, and takes one as done that somebody destroys', async ({ redis }) => {
    const fleet = await startFleet(redis)
    const { id } = (await fleet.postBatch(csv, csvOf(2, 'row'))).body.batch
    await fleet.batchEnded(id)
    const gate = makeGate()
    fleet.host().before('removeJail', gate.wait)
    const destroyed = await fleet.call('DELETE', '/v1/jails/row1')
    await fleet.host().begins('removeJail row1')
    const { batch } = (await fleet.call('POST', `/v1/batches/${id}/destroy`)).body
    const waits = await fleet.batchIs(batch.id, 'it to say what it waits for', ({ reason }) => reason !== undefined)
    expect(waits.reason).toBe(`Operation ${destroyed.body.operation.id} (destroy) is at work on jail row1.`)
    gate.open()
    expect(await fleet.batchEnded(batch.id)).toMatchObject({ status: 'succeeded', counts: { succeeded: 2 } })
    await fleet.stop()
  })
})

test('a batch is named by its name wherever its id stands, unless two have that', async ({ redis }) => {
  const fleet = await startFleet(redis)
  const { id } = (await fleet.postBatch(csv, csvOf(2, 'row'), '?name=spring')).body.batch
  await fleet.batchEnded(id)
  expect((await fleet.call('GET', '/v1/batches/spring')).body.id).toBe(id)
  for (const verb of ['pause', 'resume', 'cancel', 'retry'])
    expect((await fleet.call('POST', `/v1/batches/spring/${verb}`)).body.batch.id).toBe(id)
  expect((await fleet.call('GET', '/v1/batches/spring/report.csv')).text.split('\n')).toHaveLength(4)
  expect((await fleet.call('GET', '/v1/operations?batch=spring')).body.items).toHaveLength(2)
  expect(await fleet.call('GET', '/v1/batches/autumn')).toMatchObject({ status: 404, body: { code: 'not_found' } })

  const other = (await fleet.postBatch(csv, csvOf(1, 'other'), '?name=spring')).body.batch
  const detail = `2 batches are called spring: ${other.id}, ${id}.`
  expect(await fleet.call('GET', '/v1/batches/spring')).toMatchObject({ status: 409, body: { code: 'ambiguous_name', detail } })
  await fleet.batchEnded(other.id)
  await fleet.stop()
})

test('a row that is retried while causes are looked for is no failure without a cause', async ({ redis }) => {
  const fleet = await startFleet(redis)
  fleet.host().before('ensureRoot', () => {
    throw new ProvostError('command_failed', 'no')
  })
  const { id } = (await fleet.postBatch(csv, csvOf(1, 'row'))).body.batch
  await fleet.batchEnded(id)
  const gate = makeGate()
  fleet.host().clear('ensureRoot')
  fleet.host().before('ensureRoot', gate.wait)
  const store = storeOf(redis)
  const records = {
    ...store.records,
    async operations(ids: string[]) {
      await fleet.call('POST', `/v1/operations/${ids[0]}/retry`)
      return store.records.operations(ids)
    },
  }
  for await (const failures of failuresOf({ ...store, records }, id)) expect(failures).toEqual([])
  gate.open()
  await fleet.batchEnded(id)
  await fleet.stop()
})
