import { describe, expect, test } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import type { FillJob } from '#shared/job.ts'
import type { FillReport } from '#shared/report.ts'
import { makeRunFill } from '../../../worker/jobs/run-fill.ts'
import type { Recorded } from '../../../worker/plans/recorded.ts'
import type { Fill, WorldStore } from '../../../worker/worlds/world-store.ts'

const job: FillJob = {
  version: 1,
  operation: '01936c3e-0000-7000-8000-000000000001',
  kind: 'fill',
  plan: 1,
  host: 'host1',
  epoch: 5,
  attempt: 2,
  world: { name: 'tiny', digest: 'a'.repeat(64) },
  issuedAt: '2026-01-01T00:00:00Z',
}
const asker = `${job.operation}/2`
const log = { heading: () => undefined, note: () => undefined, record: () => undefined }

/** Opens the worker's part that fills worlds, with a store that answers as a test says. */
function open(answer: () => Fill | undefined) {
  const sent: FillReport[] = []
  const left: string[] = []
  const recorded: Recorded = { cancelled: false, moved: false, ended: false }
  const stopping = new AbortController()
  const worlds = { fill: answer, leave: (_world, operation) => left.push(operation) } as Partial<WorldStore> as WorldStore
  const runFill = makeRunFill({
    worlds,
    send: async (report) => void sent.push(report),
    recorded: async () => recorded,
    stopping: stopping.signal,
  })
  const run = (cancel = new AbortController().signal) => runFill(job, log, cancel)
  return { run, sent, left, recorded, stopping }
}

function pendingFill(): Fill {
  return { done: new Promise(() => undefined), onProgress: () => () => undefined, leave: () => undefined }
}

describe('the job of a fill', () => {
  test('succeeds at once when the world is ready', async () => {
    const { run, sent } = open(() => undefined)
    expect((await run()).type).toBe('ended')
    expect(sent).toMatchObject([{ type: 'fill', world: 'tiny', status: 'succeeded', percent: 100, step: null, attempt: 2 }])
    expect(sent[0]?.steps).toMatchObject([{ name: 'fill-world', status: 'succeeded' }])
  })

  test('pauses until the fill is done, and goes on with one report after another', async () => {
    let isDone = false
    const { run, sent } = open(() => (isDone ? undefined : pendingFill()))
    expect((await run()).type).toBe('paused')
    isDone = true
    expect((await run()).type).toBe('ended')
    expect(sent.map(({ status }) => status)).toEqual(['running', 'succeeded'])
    expect(sent[1]?.sequence).toBeGreaterThan(sent[0]?.sequence ?? Number.NaN)
    expect(sent[1]?.steps[0]?.startedAt).toBe(sent[0]?.steps[0]?.startedAt)
  })

  test('reports after its last report although its host has set its clock back', async () => {
    const { run, sent, recorded } = open(() => undefined)
    const last = (Date.now() + 3_600_000) * 1_000
    recorded.sequence = last
    await run()
    expect(sent[0]?.sequence).toBeGreaterThan(last)
  })

  test('fails as the fill did', async () => {
    const { run, sent } = open(() => {
      throw new ProvostError('checksum_mismatch', 'The archive is another one.')
    })
    await run()
    expect(sent).toMatchObject([
      { status: 'failed', step: 'fill-world', error: { code: 'checksum_mismatch', message: 'The archive is another one.' } },
    ])
  })

  test('leaves the fill when it is cancelled', async () => {
    const { run, sent, left, recorded } = open(pendingFill)
    await run()
    recorded.cancelled = true
    expect((await run()).type).toBe('ended')
    expect(left).toEqual([asker])
    expect(sent.map(({ status }) => status)).toEqual(['running', 'cancelled'])
    expect(sent[1]).toMatchObject({ error: { code: 'cancelled' }, steps: [{ status: 'undone' }] })
  })

  test('asks for nothing once its operation was moved to another host, or its worker stops', async () => {
    const moved = open(() => expect.fail('asked'))
    moved.recorded.moved = true
    expect((await moved.run()).type).toBe('ended')
    expect(moved.sent).toMatchObject([{ error: { code: 'moved_away' } }])
    const stopped = open(() => expect.fail('asked'))
    stopped.stopping.abort()
    expect((await stopped.run()).type).toBe('interrupted')
    expect(stopped.sent).toEqual([])
  })
})
