import { expect } from 'vitest'
import { test } from '../../support/fleets/fleet-test.ts'
import { until } from '../../support/until.ts'

test('a producer that stops answers the requests under way, and ends its streams', async ({ fleet }) => {
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  fleet.host().before('ensureJail', () => held)
  const waiting = fleet.ask('web1', {}, { prefer: 'wait=60' })
  const stream = fetch(`${fleet.url}/v1/events`, { headers: { authorization: `Bearer ${fleet.apiKey}` } }).then((answer) =>
    answer.text(),
  )
  await until('it to be starting', async () => fleet.host().deeds.includes('ensureJail web1'))
  await fleet.stopProducer()
  const answer = await waiting
  expect([answer.status, answer.body.operation.status]).toEqual([202, 'running'])
  expect(await stream).toContain('event: operation')
  release()
})
