import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { startFleet } from '../../support/fleets/fleet.ts'
import { shiftClock } from '../../support/hosts/shift-clock.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

const hours = 3_600_000

/** All times in a value, in the order of their places. */
function timesIn(value: unknown): number[] {
  const texts = JSON.stringify(value).match(/\d{4}-\d\d-\d\dT[\d:.]+Z/g) ?? []
  return texts.map((text) => Date.parse(text))
}

test.for([2 * hours, -2 * hours])(
  'what is told of jails is in the time of Redis where clocks are %s ms off',
  async (offMs, { redis }) => {
    const { redis: connection } = storeOf(redis)
    const now = async () => Number((await connection.time())[0]) * 1_000
    const from = await now()
    shiftClock(offMs)
    const fleet = await startFleet(redis)
    const provision = await fleet.ended(await fleet.ask('web1'))
    const stop = await fleet.ended(await fleet.call('POST', '/v1/jails/web1/stop'))
    const host = await until('the host to be read', async () => (await fleet.call('GET', '/v1/hosts/host1')).body)
    const journal = await readFile(join(fleet.host().root, 'host/journal/ended.ndjson'), 'utf8')
    const { text: metrics } = await fleet.call('GET', '/metrics')
    const to = (await now()) + 1_000

    const times = timesIn([provision, stop, await fleet.jail('web1'), host, journal])
    expect(times.length).toBeGreaterThan(20)
    expect(times.filter((time) => time < from || time > to)).toEqual([])
    for (const { createdAt, startedAt, finishedAt, steps } of [provision, stop])
      for (const [begin, end] of [
        [createdAt, startedAt],
        [startedAt, finishedAt],
        ...steps.map((step) => [step.startedAt, step.finishedAt]),
      ])
        expect(Date.parse(end ?? '') - Date.parse(begin ?? '')).toBeGreaterThanOrEqual(0)

    expect(Math.abs(host.clockOffsetMs - offMs)).toBeLessThan(1_000)
    const seconds = Number(/^provost_host_clock_offset_seconds\{host="host1"\} (\S+)$/m.exec(metrics)?.[1])
    expect(Math.abs(seconds * 1_000 - offMs)).toBeLessThan(1_000)
    expect(metrics).toMatch(/^provost_clock_offset_seconds -?7[12]\d\d/m)
    await fleet.stop()
  },
)
