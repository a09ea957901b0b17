import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import type { Operation } from '#shared/operation.ts'
import { showProgress } from '../../../../cli/print/live/show-progress.ts'
import { makeOperation } from '../../../support/samples/operation.ts'

async function* stream(operations: Operation[]) {
  yield* operations
}

test('prints one plain line for each change of step when the output is not a terminal', async () => {
  const output = new PassThrough()
  const ended = makeOperation({ status: 'succeeded', percent: 100, step: null, finishedAt: '2026-01-01T00:00:06.000Z' })
  const last = await showProgress(
    stream([
      makeOperation({ status: 'queued', percent: 0, step: null }),
      makeOperation({ step: 'fill-world', percent: 1, waiting: { reason: 'fill of debian-12' } }),
      makeOperation({ step: 'fill-world', percent: 10 }),
      makeOperation({ step: 'fill-world', percent: 20 }),
      makeOperation({ percent: 45 }),
      ended,
    ]),
    output as unknown as NodeJS.WriteStream,
  )
  output.end()
  expect(last).toEqual(ended)
  expect(await text(output)).toBe(`web1 provision 0%: queued
web1 provision 1%: waiting: fill of debian-12
web1 provision 10%: Making the world ready
web1 provision 45%: Cloning the world
web1 provision 100%: succeeded after 5.0 s
`)
})

test('prints each move and what it waits for once, though the estimated time changes', async () => {
  const output = new PassThrough()
  const queued = makeOperation({ status: 'queued', percent: 0, step: null })
  const waiting = { reason: 'queue build of host host1', position: 3 }
  const at = '2026-01-01T00:00:02.000Z'
  const first = { at, from: 'host1', to: 'host2', epoch: 8, reason: 'host host1 is down' }
  const second = { at, from: 'host2', to: 'host3', epoch: 9, reason: 'host host2 is down' }
  await showProgress(
    stream([
      { ...queued, waiting, eta: { p50: 12, p90: 30 } },
      { ...queued, waiting, eta: { p50: 11, p90: 29 } },
      { ...queued, moves: [first] },
      { ...queued, moves: [first, second] },
      { ...queued, moves: [first, second], status: 'cancelled', finishedAt: '2026-01-01T00:00:03.000Z' },
    ]),
    output as unknown as NodeJS.WriteStream,
  )
  output.end()
  expect(await text(output)).toBe(`web1 provision 0%: waiting: queue build of host host1 (place 3), about 12 s, rarely over 30 s
web1 provision moved from host1 to host2: host host1 is down
web1 provision 0%: queued
web1 provision moved from host2 to host3: host host2 is down
web1 provision 0%: cancelled after 2.0 s
`)
})
