import { describe, expect } from 'vitest'
import { queueName } from '#shared/redis/queues.ts'
import { openBatch } from '../../support/fleets/ask-in-batch.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

describe('an operation that does not run', () => {
  test('says which slot it waits for, at which place, and how long that may take', async ({ redis }) => {
    const fleet = await startFleet(redis, { capacity: { builds: 1 } })
    // The host's own history, from which it is told how long.
    for (const name of ['old1', 'old2', 'old3']) await fleet.ended(await fleet.ask(name))
    const gate = makeGate()
    fleet.host().before('ensureRoot', gate.wait)
    await fleet.ask('web1')
    await fleet.host().begins('ensureRoot web1')
    const waiting = [await fleet.ask('web2'), await fleet.ask('web3'), await fleet.ask('web4')]

    const shown = await until('an estimate', async () => {
      const operations = await Promise.all(waiting.map(({ body }) => fleet.operation(body.operation.id)))
      return operations.every(({ eta }) => eta) && operations
    })
    expect(shown.map((operation) => operation.waiting)).toEqual([
      { reason: 'queue build of host host1', position: 1 },
      { reason: 'queue build of host host1', position: 2 },
      { reason: 'queue build of host host1', position: 3 },
    ])
    const etas = shown.map(({ eta }) => eta ?? { p50: 0, p90: 0 })
    for (const { p50, p90 } of etas) expect(p90).toBeGreaterThanOrEqual(p50)
    expect(etas[2]?.p50).toBeGreaterThan(etas[0]?.p50 ?? Number.POSITIVE_INFINITY)
    const { items } = (await fleet.call('GET', '/v1/operations?status=queued')).body
    expect(items.map(({ waiting }: { waiting: { position: number } }) => waiting.position)).toEqual([3, 2, 1])
    gate.open()
    for (const asked of waiting) expect(await fleet.ended(asked)).toMatchObject({ status: 'succeeded' })
    await fleet.stop()
  })

  test('that has been built waits for its start in the order of the builds', async ({ redis }) => {
    const fleet = await startFleet(redis, { capacity: { builds: 1, starts: 1 } })
    const gate = makeGate()
    const started: string[] = []
    fleet.host().before('ensureJail', async ({ name }) => {
      started.push(name)
      await gate.wait()
    })
    const names = ['web1', 'web2', 'web3', 'web4']
    const asked = []
    for (const name of names) asked.push(await fleet.ask(name))
    const [, ...waiting] = asked
    await until('the others to be built, each with its place', async () => {
      const operations = await Promise.all(waiting.map(({ body }) => fleet.operation(body.operation.id)))
      const places = operations.map((operation) => operation.waiting)
      return places.every((place, i) => place?.reason === 'queue start of host host1' && place.position === i + 1)
    })
    gate.open()
    for (const one of asked) expect(await fleet.ended(one)).toMatchObject({ status: 'succeeded' })
    expect(started).toEqual(names)
    await fleet.stop()
  })

  test('tells who follows it when its place has changed', async ({ redis }) => {
    const fleet = await startFleet(redis, { capacity: { builds: 1 } })
    const gates = { web1: makeGate(), web2: makeGate() }
    fleet.host().before('ensureRoot', ({ name }) => gates[name as keyof typeof gates]?.wait())
    for (const name of ['web1', 'web2']) await fleet.ask(name)
    const { body } = await fleet.ask('web3')
    await fleet.host().begins('ensureRoot web1')
    const following = fleet.call('GET', `/v1/operations/${body.operation.id}/events`)
    await until('its place to be the second', async () => (await fleet.operation(body.operation.id)).waiting?.position === 2)
    await gates.web1.open()
    await until('its place to be the first', async () => (await fleet.operation(body.operation.id)).waiting?.position === 1)
    await gates.web2.open()
    const { text } = await following
    const places = [...text.matchAll(/"position":(\d)/g)].map(([, place]) => place)
    expect(places[0]).toBe('2')
    expect(text).toContain('"status":"succeeded"')
    await fleet.stop()
  })
})

describe('a batch', () => {
  test('of 200 jobs lets a signup wait for at most one clone', async ({ redis }) => {
    const fleet = await startFleet(redis, { capacity: { builds: 2, starts: 2 }, pools: [wide] })
    const clones: string[] = []
    const gate = makeGate()
    fleet.host().before('ensureRoot', async ({ name }) => {
      clones.push(name)
      if (name === 'row1') await gate.wait()
    })
    const batch = await openBatch(redis)
    for (let i = 1; i <= 200; i += 1) await batch.ask(`row${i}`)
    await until('the batch to be at work', async () => clones.includes('row1'))
    const before = clones.length
    const signup = await fleet.ask('signup')
    await until('the signup to be cloned', async () => clones.includes('signup'))
    // A batch has one of the two slots at most, so the signup had the other at once.
    expect(clones.slice(before, clones.indexOf('signup'))).toEqual([])
    expect(await fleet.ended(signup)).toMatchObject({ status: 'succeeded' })
    gate.open()
    await batch.close()
    await fleet.stop()
  })

  test('of 200 jobs lets a signup have the next turn of a host with one slot', async ({ redis }) => {
    const { redis: connection, keys } = storeOf(redis)
    const fleet = await startFleet(redis, { capacity: { builds: 1, starts: 1 }, pools: [wide] })
    const clones: string[] = []
    const gate = makeGate()
    fleet.host().before('ensureRoot', async ({ name }) => {
      clones.push(name)
      if (clones.length === 1) await gate.wait()
    })
    const batch = await openBatch(redis)
    for (let i = 1; i <= 200; i += 1) await batch.ask(`row${i}`)
    await until('the batch to be at work', async () => clones.length === 1)
    const signup = await fleet.ask('signup')
    const taken = `${keys.host('host1')}:${queueName('host1', 'build')}:active`
    await until('the signup to wait for the slot', async () => (await connection.llen(taken)) === 1)
    gate.open()
    expect(await fleet.ended(signup)).toMatchObject({ status: 'succeeded' })
    expect(clones.indexOf('signup')).toBe(1)
    await batch.close()
    await fleet.stop()
  })
})

const wide = { name: 'wide', cidr: '10.98.0.0/20', gateway: '10.98.0.1', exclude: [] }
