import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Timings } from '#shared/host.ts'
import type { OperationReport } from '#shared/report.ts'
import { makeTimings } from '../../../worker/reports/timings.ts'
import { makeReport } from '../samples.ts'

const log = pino({ level: 'silent' })

/** An operation whose steps took so many milliseconds. */
function report(durations: Record<string, number>, more: Partial<OperationReport> = {}): OperationReport {
  const startedAt = '2026-01-01T00:00:00.000Z'
  return makeReport({
    world: 'tiny',
    at: startedAt,
    steps: Object.entries(durations).map(([name, durationMs]) => ({
      name,
      title: name,
      status: 'succeeded',
      startedAt,
      finishedAt: new Date(Date.parse(startedAt) + durationMs).toISOString(),
      attempt: 1,
    })),
    jid: 1,
    ...more,
  })
}

function open() {
  const written: Timings[] = []
  return { written, timings: makeTimings({ log, write: async (now) => void written.push(now) }) }
}

describe('the timings of a host', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  test('are the median and the ninth decile of each step of a world', async () => {
    const { timings, written } = open()
    for (let ms = 10; ms <= 100; ms += 10) timings.note(report({ 'clone-root': ms }))
    timings.note(report({ 'clone-root': 7 }, { world: 'other' }))
    await vi.advanceTimersByTimeAsync(0)
    expect(written).toEqual([{ tiny: { 'clone-root': { p50: 50, p90: 90 } }, other: { 'clone-root': { p50: 7, p90: 7 } } }])
  })

  test('are those of the last 64', async () => {
    const { timings, written } = open()
    for (let i = 0; i < 100; i += 1) timings.note(report({ 'clone-root': i < 36 ? 1_000_000 : 5 }))
    await vi.advanceTimersByTimeAsync(0)
    expect(written).toEqual([{ tiny: { 'clone-root': { p50: 5, p90: 5 } } }])
  })

  test('distinguish a fill that was waited for from a world that was ready, and keep it out of the whole', async () => {
    const { timings, written } = open()
    const others = { 'clone-root': 10, 'attach-network': 1, 'start-jail': 2, 'run-command': 3, 'prove-isolation': 4 }
    const provision = { kind: 'provision' } as const
    timings.note(report({ 'fill-world': 30_000, ...others }, provision))
    timings.note(report({ 'fill-world': 2, ...others }, provision))
    await vi.advanceTimersByTimeAsync(0)
    expect(written[0]?.['tiny']).toMatchObject({
      fill: { p50: 30_000, p90: 30_000 },
      'fill-world': { p50: 2, p90: 2 },
      provision: { p50: 20, p90: 22 },
    })
  })

  test('count nothing that did not succeed', async () => {
    const { timings, written } = open()
    timings.note(report({ 'clone-root': 10 }, { status: 'failed' }))
    await vi.advanceTimersByTimeAsync(0)
    expect(written).toEqual([])
  })

  test('are written at once, then after 5 s, and only when they changed', async () => {
    const { timings, written } = open()
    timings.note(report({ 'clone-root': 10 }))
    await vi.advanceTimersByTimeAsync(0)
    timings.note(report({ 'clone-root': 20 }))
    await vi.advanceTimersByTimeAsync(4_999)
    expect(written.length).toBe(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(written.length).toBe(2)
    timings.note(report({ 'clone-root': 20 }))
    timings.note(report({ 'clone-root': 10 }))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(written.length).toBe(2)
  })

  test('are written again when Redis did not take them', async () => {
    const written: Timings[] = []
    let isAway = true
    const write = async (now: Timings) => {
      if (isAway) throw new Error('OOM command not allowed')
      written.push(now)
    }
    makeTimings({ log, write }).note(report({ 'clone-root': 10 }))
    await vi.advanceTimersByTimeAsync(0)
    isAway = false
    await vi.advanceTimersByTimeAsync(5_000)
    expect(written).toEqual([{ tiny: { 'clone-root': { p50: 10, p90: 10 } } }])
  })
})
