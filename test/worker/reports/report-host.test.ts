import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { HostBeat, HostReport, type WorldState } from '#shared/host.ts'
import { repeat } from '#shared/process/repeat.ts'
import { standardTiming } from '#shared/process/timing.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import type { WorkerConfig } from '../../../worker/config/config.ts'
import type { HostRuntime } from '../../../worker/host/host-runtime.ts'
import { makeHostReporter } from '../../../worker/reports/report-host.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const keys = redisKeys('test')
const background = { heartbeat: { passes: 3, failures: 1, seconds: 0.5 } }
const world: WorldState = { name: 'tiny', digest: 'a'.repeat(64), method: 'tree', state: 'filling', prefill: true, percent: 0 }

/** A host whose writes are noted by their keys; `world` and `drift` may be changed. `other`: another worker that has its name. */
async function open(other?: string) {
  const writes: [key: string, value: string][] = []
  const now = { world, drift: 0 }
  const redis = {
    set: async (...write: [string, string]) => void writes.push(write),
    // Its clock is three seconds behind this one.
    time: async () => [Math.floor(Date.now() / 1_000) - 3, (Date.now() % 1_000) * 1_000],
  }
  const config = {
    host: 'host1',
    network: { pools: [] },
    capacity: { jails: 1, memory: 1, cpu: 1, fills: 1, builds: 1, starts: 1 },
    defaults: { memory: 1, cpu: 1, processes: 1 },
    labels: {},
    timing: standardTiming,
  } as unknown as WorkerConfig
  const reporting = makeHostReporter({
    config,
    host: { runtime: 'linux', platform: 'linux/x64', supports: { diskLimit: false, setuid: 'never' } } as HostRuntime,
    redis: redis as unknown as Redis,
    keys,
    presence: {
      isLost: async () => other !== undefined,
      renew: async (beat) => void writes.push([keys.hostBeat('host1'), beat]),
    },
    repeat,
    background,
    log: pino({ level: 'silent' }),
    plans: [1, 2],
    send: async () => undefined,
  })
  await reporting.begin({
    worlds: { states: () => [now.world] },
    load: () => ({ fills: 0, builds: 0, starts: 0, jails: 0, loadAverage: 0 }),
    fleet: () => undefined,
    disk: () => undefined,
    epoch: () => 7,
    unfit: () => undefined,
    drift: () => now.drift,
    leftovers: () => 0,
    refused: () => 0,
  })
  const taken = () => writes.splice(0)
  return { reporting, now, taken }
}

const [reportKey, beatKey, workKey] = [keys.hostReport('host1'), keys.hostBeat('host1'), keys.hostBackground('host1')]
const keysOf = (writes: [string, string][]) => writes.map(([key]) => key)

test('a host writes what it is when that changes, and at each heartbeat only that it is there', async () => {
  const { reporting, now, taken } = await open()
  const [report, work, beat] = taken()
  expect([report?.[0], beat?.[0]]).toEqual([reportKey, beatKey])
  expect(work).toEqual([workKey, JSON.stringify(background)])
  expect(HostReport.parse(JSON.parse(report?.[1] ?? '')).versions.plans).toEqual([1, 2])
  const digest = createHash('sha256')
    .update(report?.[1] ?? '')
    .digest('hex')
  const first = HostBeat.parse(JSON.parse(beat?.[1] ?? ''))
  expect(digest).toMatch(new RegExp(`^${first.report}`))
  expect([first.epoch, first.clockOffsetMs, Date.parse(first.at)]).toEqual([7, 3_000, Date.now() - 3_000])

  now.drift = 2
  await vi.advanceTimersByTimeAsync(standardTiming.heartbeat)
  const again = taken()
  expect(keysOf(again)).toEqual([beatKey])
  const later = new Date(Date.parse(first.at) + standardTiming.heartbeat).toISOString()
  expect(JSON.parse(again[0]?.[1] ?? '')).toEqual({ ...first, drift: 2, at: later })

  now.world = { ...world, state: 'ready' }
  await vi.advanceTimersByTimeAsync(standardTiming.heartbeat)
  const changed = taken()
  expect(keysOf(changed)).toEqual([reportKey, beatKey])
  expect(JSON.parse(changed[1]?.[1] ?? '').report).not.toBe(first.report)
  await reporting.stop()
})

test('a host writes what it is, and how its background work went, anew with each enrolment', async () => {
  const { reporting, taken } = await open()
  taken()
  await vi.advanceTimersByTimeAsync(9 * standardTiming.heartbeat)
  expect(keysOf(taken())).toEqual(Array(9).fill(beatKey))
  await vi.advanceTimersByTimeAsync(standardTiming.heartbeat)
  expect(keysOf(taken())).toEqual([reportKey, workKey, beatKey])
  await reporting.stop()
})

test('a host writes nothing of itself once another worker has its name', async () => {
  const { reporting, taken } = await open('another root')
  expect(taken()).toEqual([])
  await reporting.stop()
})
