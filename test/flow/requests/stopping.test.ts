import { expect } from 'vitest'
import { test } from '../../support/fleets/fleet-test.ts'
import { makeGate } from '../../support/gate.ts'

test('a producer that stops answers the requests under way, and ends its streams', async ({ fleet }) => {
  const gate = makeGate()
  fleet.host().before('ensureJail', gate.wait)
  const waiting = fleet.ask('web1', {}, { prefer: 'wait=60' })
  const stream = fetch(`${fleet.url}/v1/events`, { headers: { authorization: `Bearer ${fleet.apiKey}` } }).then((answer) =>
    answer.text(),
  )
  await fleet.host().begins('ensureJail web1')
  await fleet.stopProducer()
  const answer = await waiting
  expect([answer.status, answer.body.operation.status]).toEqual([202, 'running'])
  expect(await stream).toContain('event: operation')
  gate.open()
})
