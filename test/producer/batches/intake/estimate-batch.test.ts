import { expect, test } from 'vitest'
import type { Timings } from '#shared/host.ts'
import { estimateBatch } from '../../../../producer/batches/intake/estimate-batch.ts'
import type { PlacementHost } from '../../../../producer/placement/placement-host.ts'

const ms = (p50: number) => ({ p50, p90: 2 * p50 })
const timings = (of: Timings[string]): Timings => ({ tiny: { provision: ms(300), ...of } })

function share(id: string, count: number, state: 'ready' | 'absent' = 'ready', builds = 3) {
  const host = { id, worlds: [{ name: 'tiny', state }], capacity: { builds, starts: 2 } } as unknown as PlacementHost
  return { host, worlds: new Map([['tiny', count]]) }
}

test('takes as long as the host that has most to do', () => {
  const known = new Map([
    ['host1', timings({ 'clone-root': ms(100) })],
    ['host2', timings({ 'clone-root': ms(100) })],
  ])
  // Starts take longest: 100 of 200 ms in two slots, and all of the last jail.
  expect(estimateBatch([share('host1', 100), share('host2', 50)], known, 1_000)).toEqual({ p50: 10.3, p90: 20.6 })
})

test('counts a build slot less than the host has, and a fill that is still to be made', () => {
  const known = new Map([['host1', timings({ 'clone-root': ms(300), fill: ms(5_000) })]])
  expect(estimateBatch([share('host1', 100)], known, 1_000)?.p50).toBe(15.3)
  expect(estimateBatch([share('host1', 100, 'absent')], known, 1_000)?.p50).toBe(20.3)
  expect(estimateBatch([share('host1', 100, 'ready', 1)], known, 1_000)?.p50).toBe(30.3)
})

test('is no shorter than what may be in flight allows', () => {
  const known = new Map([['host1', timings({ 'clone-root': ms(300) })]])
  expect(estimateBatch([share('host1', 100)], known, 1)?.p50).toBe(30)
})

test('is unknown without a history, or with nothing to do', () => {
  expect(estimateBatch([share('host1', 1), share('host2', 1)], new Map([['host1', timings({})]]), 1)).toBe(undefined)
  expect(estimateBatch([], new Map(), 1)).toBe(undefined)
})
