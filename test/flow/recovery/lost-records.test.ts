import { expect, test } from 'vitest'
import { scaledTiming } from '#shared/process/timing.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { follow } from '../../support/fleets/follow.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { ownRedis } from '../../support/redis/own-redis.ts'
import { durable } from '../../support/redis/redis-server.ts'
import { until } from '../../support/until.ts'

const timing = scaledTiming(0.2)

test('from the moment that Redis lost everything no read is answered from what is left of it', async (context) => {
  const { redis } = await ownRedis(context, durable)
  // At its usual times, so that a producer notices the loss only after the first reads.
  const fleet = await startFleet(redis)
  const { redis: connection } = storeOf(redis)
  const asked = await fleet.ask('web1')
  await fleet.ended(asked)
  const { id } = asked.body.operation
  const paths = ['/v1/jails', '/v1/jails/web1', `/v1/operations/${id}`, `/v1/operations/${id}/log`, '/v1/operations']
  const before = await fleet.call('GET', '/v1/jails')
  const board = ['/queues/api/queues', `/queues/api/queues/host1.start/${id}-1-start`]

  await connection.flushall()
  for (const path of [...paths, `/v1/operations/${id}/events`, '/v1/batches', '/v1/hosts', '/v1/worlds', ...board, '/readyz']) {
    const { status, body, headers } = await fleet.call('GET', path)
    expect([path, status]).toEqual([path, 503])
    if (path !== '/readyz') expect([path, body.code, headers.get('retry-after')]).toEqual([path, 'queue_unavailable', '2'])
  }
  const stop = await fleet.call('POST', '/v1/jails/web1/stop')
  expect([stop.status, stop.body.code]).toEqual([503, 'queue_unavailable'])
  const { text } = await fleet.call('GET', '/metrics')
  expect(text).toContain('provost_records_complete 0')
  expect(text).not.toMatch(/^provost_(jails|hosts|leases)/m)

  const shown = new Set<string>()
  await until('the fleet to be ready', async () => {
    const { status, body } = await fleet.call('GET', '/v1/jails')
    if (status === 200) shown.add(body.items.map(({ name, state }: { name: string; state: string }) => `${name} ${state}`).join())
    else expect([status, body.code]).toEqual([503, 'queue_unavailable'])
    return (await fleet.call('GET', '/readyz')).status === 200
  })
  expect([...shown].filter((items) => items !== 'web1 running')).toEqual([])
  expect((await fleet.call('GET', '/v1/jails')).body.items[0].addresses).toEqual(before.body.items[0].addresses)
  expect((await fleet.call('GET', '/metrics')).text).toMatch(/^provost_records_complete 1$/m)
  await fleet.stop()
})

test('a stream goes on after a loss, and tells all to who has seen events from before it', async (context) => {
  const { redis } = await ownRedis(context, durable)
  const fleet = await startFleet(redis, { timing })
  const { redis: connection } = storeOf(redis)
  for (const name of ['web1', 'web2']) await fleet.ended(await fleet.ask(name))
  // A name that is a field of events, too.
  const ended = await fleet.ask('fleet')
  await fleet.ended(ended)
  const path = `/v1/operations/${ended.body.operation.id}/events`
  const live = await follow(fleet, '/v1/events')
  await fleet.ended(await fleet.call('POST', '/v1/jails/web1/stop'))
  const seen = await until('an event of the jail', async () =>
    live.events.find(({ event, data }) => event === 'jail' && JSON.parse(data).state === 'stopped'),
  )
  const verdict = await follow(fleet, path)
  await verdict.done
  const last = verdict.events.at(-1)?.id ?? ''

  await connection.flushall()
  // It is not left deaf: whoever follows is cut off, and asks again.
  await live.done
  const all = await until('the records to be rebuilt', async () => {
    const stream = await follow(fleet, '/v1/events', { 'last-event-id': seen.id ?? '' })
    if (stream.status === 200) return stream
    stream.close()
    return undefined
  })
  const told = () => new Set(all.events.map(({ event, data }) => `${event} ${JSON.parse(data).name ?? JSON.parse(data).id}`))
  const operation = `operation ${ended.body.operation.id}`
  await until('all records to be told', async () =>
    ['jail web1', 'jail web2', 'jail fleet', 'host host1', operation].every((record) => told().has(record)),
  )
  await fleet.ended(await fleet.call('POST', '/v1/jails/web2/stop'))
  const now = await until('what happens now', async () =>
    all.events.find(
      ({ event, data }) => event === 'jail' && JSON.parse(data).name === 'web2' && JSON.parse(data).state === 'stopped',
    ),
  )
  all.close()
  const resumed = await follow(fleet, '/v1/events', { 'last-event-id': now.id ?? '' })
  await fleet.ended(await fleet.call('POST', '/v1/jails/fleet/stop'))
  await until('the next change', async () => resumed.events.some(({ data }) => JSON.parse(data).name === 'fleet'))
  expect(resumed.events.filter(({ event, data }) => event === 'jail' && JSON.parse(data).name === 'web1')).toEqual([])
  resumed.close()

  for (const id of [last, 'abc', '17']) {
    const again = await follow(fleet, path, { 'last-event-id': id })
    await again.done
    expect([again.status, again.events.map(({ data }) => JSON.parse(data).status)]).toEqual([200, ['succeeded']])
    expect((await follow(fleet, path, { 'last-event-id': again.events[0]?.id ?? '' })).status).toBe(204)
    const whole = await follow(fleet, '/v1/events', { 'last-event-id': id })
    await until('all jails to be told', async () => whole.events.filter(({ event }) => event === 'jail').length === 3)
    whole.close()
  }
  await fleet.stop()
})

test('a client whose missed events are no longer kept is told all records', async (context) => {
  const { redis } = await ownRedis(context, durable)
  const fleet = await startFleet(redis, { timing })
  const { redis: connection, keys } = storeOf(redis)
  await fleet.ended(await fleet.ask('web1'))
  const [generation, now] = [await connection.hget(keys.fleet, 'id'), Number(await connection.get(keys.eventSequence))]
  await connection.xtrim(keys.events, 'MAXLEN', 1)
  for (const sequence of [1, now + 1_000]) {
    const stream = await follow(fleet, '/v1/events', { 'last-event-id': `${generation}-${sequence}` })
    await until('the jail to be told', async () => stream.events.some(({ event }) => event === 'jail'))
    stream.close()
  }
  await fleet.stop()
})
