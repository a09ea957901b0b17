import type { EventSourceMessage } from 'eventsource-parser'
import { describe, expect } from 'vitest'
import { test } from '../../support/fleets/fleet-test.ts'
import { follow } from '../../support/fleets/follow.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { until } from '../../support/until.ts'

/** The sequences of events; all of them are of one generation. */
function sequencesOf(events: EventSourceMessage[]): number[] {
  const ids = events.map(({ id }) => /^(.+)-(\d+)$/.exec(id ?? '') ?? [])
  expect(new Set(ids.map(([, generation]) => generation)).size).toBe(1)
  return ids.map(([, , sequence]) => Number(sequence))
}

describe('events of an operation', () => {
  test('are the whole operation each, with rising ids, and end with the last one', async ({ fleet }) => {
    const gate = makeGate()
    fleet.host().before('ensureJail', gate.wait)
    const asked = await fleet.ask('web1')
    const path = `/v1/operations/${asked.body.operation.id}/events`
    const stream = await follow(fleet, path)
    await until('it to be starting', async () => stream.events.some(({ data }) => JSON.parse(data).step === 'start-jail'))
    gate.open()
    await stream.done
    const seen = stream.events.map(({ data }) => JSON.parse(data))
    expect(new Set(stream.events.map(({ event }) => event))).toEqual(new Set(['operation']))
    expect(seen.at(-1)).toEqual(await fleet.operation(asked.body.operation.id))
    const ids = sequencesOf(stream.events)
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b))
    const percents = seen.map(({ percent }) => percent)
    expect(percents).toEqual([...percents].sort((a, b) => a - b))
    expect(percents.filter((percent) => percent === 100)).toHaveLength(1)

    expect((await follow(fleet, path, { 'last-event-id': stream.events.at(-1)?.id ?? '' })).status).toBe(204)
    const resumed = await follow(fleet, path, { 'last-event-id': stream.events[0]?.id ?? '' })
    await resumed.done
    expect(sequencesOf(resumed.events)).toEqual([ids.at(-1)])
  })

  test('of one that is not there are 404', async ({ fleet }) => {
    expect((await follow(fleet, '/v1/operations/nothing/events')).status).toBe(404)
  })
})

describe('events of the fleet', () => {
  test('tell of operations, jails and hosts, and go on where a reader stopped', async ({ fleet }) => {
    const stream = await follow(fleet, '/v1/events')
    await fleet.ended(await fleet.ask('web1'))
    await until('both kinds', async () => new Set(stream.events.map(({ event }) => event)).size >= 2)
    const running = await until('the running jail', async () =>
      stream.events.find(({ event, data }) => event === 'jail' && JSON.parse(data).state === 'running'),
    )
    stream.close()
    await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))
    const resumed = await follow(fleet, '/v1/events', { 'last-event-id': running.id ?? '' })
    await until('the end of the jail', async () =>
      resumed.events.some(({ event, data }) => event === 'jail' && JSON.parse(data).removed && JSON.parse(data).name === 'web1'),
    )
    const ids = sequencesOf(resumed.events)
    expect(Math.min(...ids)).toBeGreaterThan(sequencesOf([running])[0] ?? 0)
    expect(ids).toEqual([...ids].sort((a, b) => a - b))
    resumed.close()
  })

  test('that a reader has missed come before what happens now, all of them, with rising ids', async ({ fleet, redis }) => {
    await fleet.ended(await fleet.ask('web1'))
    const { redis: connection, keys } = storeOf(redis)
    // More than are read from Redis at once.
    const pipeline = connection.pipeline()
    const first = Number(await connection.get(keys.eventSequence))
    for (let i = 1; i <= 12_000; i += 1) pipeline.xadd(keys.events, `${first + i}-0`, 'kind', 'jail', 'id', `gone${i}`)
    await pipeline.set(keys.eventSequence, first + 12_000).exec()
    const generation = await connection.hget(keys.fleet, 'id')
    const stream = await follow(fleet, '/v1/events', { 'last-event-id': `${generation}-${first}` })
    const stopped = await fleet.call('POST', '/v1/jails/web1/stop')
    await until('the stop to be told', async () =>
      stream.events.some(({ event, data }) => event === 'operation' && JSON.parse(data).id === stopped.body.operation.id),
    )
    const ids = sequencesOf(stream.events)
    expect(ids).toEqual([...ids].sort((a, b) => a - b))
    expect(stream.events.filter(({ data }) => JSON.parse(data).removed)).toHaveLength(12_000)
    stream.close()
  })
})

describe('lists', () => {
  test('come in pages, complete and in order, by each filter', async ({ fleet }) => {
    const names = Array.from({ length: 7 }, (_, i) => `web${i}`)
    for (const [i, name] of names.entries()) await fleet.ended(await fleet.ask(name, { client: i % 2 === 0 ? 'even' : 'odd' }))
    await fleet.ended(await fleet.call('POST', '/v1/jails/web2/stop'))

    const all = async (path: string, field: string) => {
      const values: string[] = []
      const sizes: number[] = []
      for (let cursor: string | null = ''; cursor !== null; ) {
        const separator = path.includes('?') ? '&' : '?'
        const { body } = await fleet.call('GET', `${path}${separator}limit=2${cursor ? `&cursor=${cursor}` : ''}`)
        values.push(...body.items.map((item: Record<string, string>) => item[field]))
        sizes.push(body.items.length)
        cursor = body.nextCursor
      }
      expect(sizes.slice(0, -1).every((size) => size === 2)).toBe(true)
      return values
    }
    expect(await all('/v1/jails', 'name')).toEqual(names)
    expect(await all('/v1/jails?client=even', 'name')).toEqual(['web0', 'web2', 'web4', 'web6'])
    expect(await all('/v1/jails?state=stopped', 'name')).toEqual(['web2'])
    expect(await all('/v1/jails?client=even&state=running&host=host1', 'name')).toEqual(['web0', 'web4', 'web6'])
    expect(await all('/v1/jails?host=nowhere', 'name')).toEqual([])
    expect(await all('/v1/operations', 'jail')).toEqual(['web2', ...names.toReversed()])
    expect(await all('/v1/operations?jail=web2', 'kind')).toEqual(['stop', 'provision'])
    expect(await all('/v1/operations?status=failed', 'jail')).toEqual([])
    expect(await all('/v1/worlds', 'name')).toEqual(['tiny'])
    for (const query of ['limit=0', 'limit=501', 'limit=x', 'cursor=!!', 'color=red', 'state=happy'])
      expect([query, (await fleet.call('GET', `/v1/jails?${query}`)).status]).toEqual([query, 400])
  })
})

describe('Prefer: wait', () => {
  test('holds the answer until the operation has ended, whatever the verdict', async ({ fleet }) => {
    const asked = await fleet.ask('web1', {}, { prefer: 'wait=20' })
    expect([asked.status, asked.body.operation.status, asked.body.jail.state]).toEqual([200, 'succeeded', 'running'])
    expect(asked.headers.get('preference-applied')).toBe('wait=20')
  })

  test('gives what there is when time is up', async ({ fleet }) => {
    const gate = makeGate()
    fleet.host().before('ensureJail', gate.wait)
    const asked = await fleet.ask('web1', {}, { prefer: 'wait=1' })
    expect([asked.status, asked.body.operation.status]).toEqual([202, 'running'])
    gate.open()
    await fleet.ended(asked)
  })

  test('is capped at a minute, which the answer says', async ({ fleet }) => {
    const asked = await fleet.ask('web1', {}, { prefer: 'respond-async, wait=120' })
    expect([asked.status, asked.headers.get('preference-applied')]).toEqual([200, 'wait=60'])
  })

  test('that cannot be read is ignored', async ({ fleet }) => {
    const asked = await fleet.ask('web1', {}, { prefer: 'wait=soon' })
    expect([asked.status, asked.headers.get('preference-applied')]).toEqual([202, null])
    await fleet.ended(asked)
  })
})

test('what a jail prints is followed with or without a value for that, and no other word for it', async ({ fleet }) => {
  const statusOf = async (query: string) => (await fleet.call('GET', `/v1/jails/nobody/log${query}`)).status
  expect(await Promise.all(['', '?follow', '?follow=true', '?follow=false'].map(statusOf))).toEqual([404, 404, 404, 404])
  expect(await statusOf('?follow=maybe')).toBe(400)
})
