import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import type { Batch } from '#shared/batch.ts'
import { batchChanges, batchLines, batchStatusLine, liveBatchLines, percentOf } from '../../../cli/print/batch-lines.ts'
import { showStates } from '../../../cli/print/live/show-states.ts'
import { makeBatch, makeCause } from '../../support/samples/batch.ts'

const now = Date.parse('2026-01-01T00:12:03.000Z')
const { id } = makeBatch()
const taken = makeCause({
  id: 'c2',
  code: 'name_taken',
  step: null,
  hosts: [],
  count: 3,
  sampleOperation: null,
  message: 'Taken.',
})

describe('one batch', () => {
  test('is one bar, the counts, how long it may take, and each cause with its commands', () => {
    const batch = makeBatch({
      canary: 10,
      maxFailureRate: 0.07,
      skipped: 2,
      causes: [taken, makeCause({ hosts: ['host1', 'host2', 'host3', 'host4', 'host5', 'host6'] })],
    })
    expect(batchLines(batch, now).join('\n')).toBe(`spring  ━━━━━━━━━━━━━━━━━───────────  62%  12 min 3 s  running
  1,836 succeeded, 24 failed, 50 running, 1,090 queued of 3,000 jails
  12 a minute, left: about 1 h 32 min, rarely over 2 h 5 min

batch     ${id}
name      spring
at once   at most 50
canary    10 first, the others if none of them failed
pauses    when more than 7% have failed
left out  2 rows that were wrong
created   2026-01-01T00:00:00.000Z

JAILS  CODE                STEP        WORLD      HOSTS
   21  mirror_unavailable  fill-world  debian-12  host1 host2 host3 host4 and 2 more
  The mirror # does not answer.
  what to do: Check that the host reaches the mirror, then retry.
  one of them: provost log 01936c3e-0000-7000-8000-000000000001
  to try them again: provost batch retry ${id} --cause c1 --watch
    3  name_taken          -           debian-12  -
  Taken.
  what to do: Check that the host reaches the mirror, then retry.
  to try them again: provost batch retry ${id} --cause c2 --watch

to watch it: provost batch show ${id} --watch
to hold it: provost batch pause ${id}
to try all that failed again: provost batch retry ${id} --watch
what became of each jail: provost batch report ${id} --output FILE`)
  })

  test('shows why it is paused and how to go on, also on one screen', () => {
    const paused = makeBatch({ status: 'paused', reason: '3 of the canary of 10 failed', causes: [taken] })
    expect(
      liveBatchLines(paused, now).join('\n'),
    ).toBe(`spring  ━━━━━━━━━━━━━━━━━───────────  62%  12 min 3 s  paused: 3 of the canary of 10 failed
  1,836 succeeded, 24 failed, 50 running, 1,090 queued of 3,000 jails
  12 a minute, left: about 1 h 32 min, rarely over 2 h 5 min
  JAILS  CODE        STEP  WORLD      HOSTS
      3  name_taken  -     debian-12  -
to go on: provost batch resume ${id}`)
  })

  test('is said in one line, with its name if it has one', () => {
    const counts = '1,836 succeeded, 24 failed, 50 running, 1,090 queued of 3,000 jails'
    expect(batchStatusLine(makeBatch({ status: 'paused', reason: 'by hand' }))).toBe(
      `Batch ${id} (spring) is paused: by hand: ${counts}`,
    )
    expect(batchStatusLine(makeBatch({ name: id, status: 'failed' }))).toBe(`Batch ${id} has failed: ${counts}`)
    const lines = batchLines(makeBatch({ canary: 5, maxFailures: 2, skipped: 1 }), now)
    expect(lines).toContain('canary    5 first, the others if at most 2 of them failed')
    expect(lines).toContain('left out  1 row that was wrong')
  })

  test('is at 100 per cent only when its last jail has ended', () => {
    const counts = { queued: 0, running: 1, succeeded: 99_999, failed: 0, cancelled: 0 }
    expect(percentOf({ finishedAt: null, counts })).toBe(99)
    expect(percentOf({ finishedAt: '2026-01-01T00:00:00.000Z', counts: { ...counts, running: 0 } })).toBe(100)
  })
})

test('adds a line to a log for every 10 per cent, each change of status and each new cause', async () => {
  async function* stream(): AsyncGenerator<Batch> {
    const at = (succeeded: number, facts: Partial<Batch> = {}) =>
      makeBatch({
        counts: { queued: 100 - succeeded, running: 0, succeeded, failed: 0, cancelled: 0 },
        rate: 6,
        eta: undefined,
        ...facts,
      } as Partial<Batch>)
    yield at(0, { causes: [makeCause({ world: '' })] })
    yield at(4)
    yield at(9, { causes: [taken] })
    yield at(9, { causes: [{ ...taken, count: 4 }] })
    yield at(10, { causes: [taken] })
    yield at(11, { causes: [taken], reason: 'no host has room' })
    yield at(100, { causes: [taken], status: 'failed', finishedAt: '2026-01-01T00:00:06.000Z' })
  }
  const output = new PassThrough()
  const look = { lines: liveBatchLines, changes: batchChanges }
  await showStates(stream(), look, output as unknown as NodeJS.WriteStream)
  output.end()
  expect(await text(output)).toBe(`spring 0%: running: 0 succeeded, 100 queued of 100 jails; 6.0 a minute
spring has failed so far: mirror_unavailable at fill-world: The mirror # does not answer.
spring fails: name_taken (debian-12): Taken.
spring 10%: running: 10 succeeded, 90 queued of 100 jails; 6.0 a minute
spring 11%: running, waiting: no host has room: 11 succeeded, 89 queued of 100 jails; 6.0 a minute
spring 100%: failed: 100 succeeded of 100 jails
`)
})
