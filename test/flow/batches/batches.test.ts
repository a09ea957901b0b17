import { describe, expect } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test } from '../../support/redis/redis-test.ts'
import { csv, csvOf } from '../../support/samples/batch-file.ts'
import { until } from '../../support/until.ts'

describe('a batch', () => {
  test('makes every row a jail, and groups what failed by its causes, each with one retry', async ({ redis }) => {
    const fleet = await startFleet(redis, { hosts: ['host1', 'host2'] })
    const faulty =
      (numbers: number[], error: (name: string) => ProvostError) =>
      ({ name }: { name: string }) => {
        if (numbers.map((n) => `row${n}`).includes(name)) throw error(name)
      }
    for (const host of ['host1', 'host2']) {
      fleet.host(host).before(
        'ensureRoot',
        faulty([3, 7, 11], (name) => new ProvostError('command_failed', `cp: ${name}: error 5 at 10.0.0.7`)),
      )
      fleet.host(host).before(
        'ensureJail',
        faulty([4, 9], (name) => new ProvostError('host_unfit', `no room for ${name} (${name.length})`)),
      )
    }
    const sent = await fleet.postBatch(csv, csvOf(20, 'row'), '?name=move-1&maxInFlight=6')
    expect(sent).toMatchObject({ status: 202, body: { batch: { name: 'move-1', counts: { queued: 20 }, maxInFlight: 6 } } })
    const { id } = sent.body.batch
    const failed = await fleet.batchEnded(id)
    expect(failed).toMatchObject({ status: 'failed', counts: { queued: 0, running: 0, succeeded: 15, failed: 5, cancelled: 0 } })
    expect(failed.causes.map(({ code, step, count, message }) => [code, step, count, message])).toEqual([
      ['command_failed', 'clone-root', 3, 'cp: <name>: error <n> at <address>'],
      ['host_unfit', 'start-jail', 2, 'no room for <name> (<n>)'],
    ])

    for (const host of ['host1', 'host2']) fleet.host(host).clear('ensureRoot')
    const retried = await fleet.call('POST', `/v1/batches/${id}/retry`, { cause: failed.causes[0]?.id })
    expect(retried).toMatchObject({ status: 202, body: { batch: { status: 'running', finishedAt: null }, changed: true } })
    const after = await fleet.batchEnded(id)
    expect(after).toMatchObject({ status: 'failed', counts: { succeeded: 18, failed: 2 } })
    expect(after.causes.map(({ code }) => code)).toEqual(['host_unfit'])
    // What has ended can be paused, resumed and cancelled no more: the answer says that nothing was done.
    for (const verb of ['pause', 'resume', 'cancel'])
      expect(await fleet.call('POST', `/v1/batches/${id}/${verb}`)).toMatchObject({
        status: 202,
        body: { batch: { status: 'failed', counts: after.counts }, changed: false },
      })

    const report = (await fleet.call('GET', `/v1/batches/${id}/report.csv`)).text.trimEnd().split('\n')
    expect(report).toHaveLength(21)
    expect(report[0]).toBe('line,name,client,world,state,host,addresses,attempts,seconds,code,error,operation')
    expect(report[3]).toMatch(/^4,row3,acme,tiny,succeeded,host[12],10\.99\.[01]\.\d+\/24,2,[\d.]+,,,[0-9a-f-]{36}$/)
    expect(report[4]).toMatch(
      /^5,row4,acme,tiny,failed,host[12],10\.99\.[01]\.\d+\/24,1,[\d.]+,host_unfit,no room for row4 \(4\),/,
    )
    const { items } = (await fleet.call('GET', `/v1/batches/${id}/report.json`)).body
    expect(items).toHaveLength(20)
    expect((await fleet.call('GET', `/v1/operations?batch=${id}&status=failed`)).body.items).toHaveLength(2)
    await fleet.stop()
  })

  test('runs its canary first, pauses when too many of it fail, and goes on when told', async ({ redis }) => {
    const fleet = await startFleet(redis)
    fleet.host().before('ensureRoot', ({ name }) => {
      if (name === 'row2') throw new ProvostError('command_failed', 'no')
    })
    const { id } = (await fleet.postBatch(csv, csvOf(12, 'row'), '?canary=3')).body.batch
    const paused = await fleet.batchIs(id, 'it to pause', ({ status }) => status === 'paused')
    expect(paused.reason).toBe('canary: 1 of the first 3 rows failed, at most 0 may')
    await fleet.batchIs(id, 'the canary to end', ({ counts }) => counts.succeeded === 2 && counts.failed === 1)
    expect((await fleet.call('GET', '/v1/jails')).body.items).toHaveLength(3)
    expect((await fleet.call('POST', `/v1/batches/${id}/resume`)).body.batch.status).toBe('running')
    expect(await fleet.batchEnded(id)).toMatchObject({ status: 'failed', counts: { succeeded: 11, failed: 1 } })
    await fleet.stop()
  })

  test('goes on by itself after a canary that does well, and pauses at a rate of failures', async ({ redis }) => {
    const fleet = await startFleet(redis)
    fleet.host().before('ensureRoot', ({ name }) => {
      if (Number(name.slice(3)) > 8) throw new ProvostError('command_failed', 'no')
    })
    const { id } = (await fleet.postBatch(csv, csvOf(40, 'row'), '?canary=5&maxFailureRate=0.3&maxInFlight=2')).body.batch
    const paused = await fleet.batchIs(id, 'it to pause', ({ status }) => status === 'paused')
    expect(paused.reason).toMatch(
      /^\d+ of the \d+ rows that ended since it was accepted at \S+Z failed, which is more than 0\.3 of them$/,
    )
    expect(paused.counts.queued).toBeGreaterThan(20)
    await fleet.stop()
  })

  test('has no more in flight than it may, is paused and resumed, and cancelled with its names free again', async ({ redis }) => {
    const fleet = await startFleet(redis, { capacity: { builds: 8 } })
    const gate = makeGate()
    let atOnce = 0
    fleet.host().before('ensureRoot', async () => {
      atOnce += 1
      await gate.wait()
    })
    const { id } = (await fleet.postBatch(csv, csvOf(30, 'row'), '?maxInFlight=3')).body.batch
    await until('three to be in flight', async () => atOnce === 3)
    expect(await fleet.ask('row30')).toMatchObject({ status: 409, body: { code: 'name_taken' } })
    expect((await fleet.call('POST', `/v1/batches/${id}/pause`)).body.batch).toMatchObject({
      status: 'paused',
      reason: 'somebody paused it',
    })
    gate.open()
    await fleet.batchIs(id, 'those in flight to end', ({ counts }) => counts.succeeded === 3)
    expect(await fleet.batch(id)).toMatchObject({ status: 'paused', counts: { queued: 27, running: 0 } })
    await fleet.call('POST', `/v1/batches/${id}/resume`)
    await fleet.batchIs(id, 'it to go on', ({ counts }) => counts.succeeded > 5)
    const cancelled = (await fleet.call('POST', `/v1/batches/${id}/cancel`)).body.batch
    expect(cancelled.status).toBe('cancelled')
    const done = await fleet.batchEnded(id)
    expect((await fleet.call('POST', `/v1/batches/${id}/retry`)).body).toMatchObject({
      batch: { counts: done.counts },
      changed: false,
    })
    expect(done.counts.succeeded + done.counts.cancelled).toBe(30)
    expect(done.counts.cancelled).toBeGreaterThan(0)
    expect((await fleet.ask('row30')).status).toBe(202)
    await fleet.stop()
  })

  test('counts no row twice that was admitted just before its producer died', async ({ redis }) => {
    const fleet = await startFleet(redis, { capacity: { builds: 8 } })
    const gate = makeGate()
    fleet.host().before('ensureRoot', gate.wait)
    const { id } = (await fleet.postBatch(csv, csvOf(5, 'row'), '?maxInFlight=2')).body.batch
    await fleet.batchIs(id, 'two to be in flight', ({ counts }) => counts.running === 2)
    await fleet.call('POST', `/v1/batches/${id}/pause`)
    // What follows an admission never came to be.
    const { redis: connection, keys } = storeOf(redis)
    await connection.hset(keys.batch(id), 'cursor', '0')
    const { counts } = (await fleet.call('POST', `/v1/batches/${id}/cancel`)).body.batch
    expect(counts).toEqual({ queued: 0, running: 2, succeeded: 0, failed: 0, cancelled: 3 })
    gate.open()
    expect((await fleet.batchEnded(id)).counts).toMatchObject({ running: 0, succeeded: 2, cancelled: 3 })
    await fleet.stop()
  })

  test('counts a jail that was there already, as the row asks, as done', async ({ redis }) => {
    const fleet = await startFleet(redis)
    await fleet.ended(await fleet.ask('row1'))
    const { id } = (await fleet.postBatch(csv, csvOf(3, 'row'))).body.batch
    expect(await fleet.batchEnded(id)).toMatchObject({ status: 'succeeded', counts: { succeeded: 3 } })
    expect((await fleet.call('GET', '/v1/operations?jail=row1')).body.items).toHaveLength(1)
    await fleet.stop()
  })

  test('waits with its reason when hosts are full, and goes on when there is room', async ({ redis }) => {
    const fleet = await startFleet(redis, { capacity: { jails: 2 } })
    const { id } = (await fleet.postBatch(csv, csvOf(3, 'row'))).body.batch
    const waits = await fleet.batchIs(
      id,
      'it to say what it waits for',
      ({ reason, counts }) => reason !== undefined && counts.succeeded === 2,
    )
    expect(waits).toMatchObject({ status: 'running', counts: { queued: 1, succeeded: 2 } })
    expect(waits.reason).toBe('Jail row3: No host can take the jail: host host1 has no room left for a jail.')
    await fleet.ended(await fleet.call('DELETE', '/v1/jails/row1'))
    expect(await fleet.batchEnded(id)).toMatchObject({ status: 'succeeded', counts: { succeeded: 3 } })
    await fleet.stop()
  })
})
