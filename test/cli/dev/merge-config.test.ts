import { expect, test } from 'vitest'
import { mergeConfig } from '../../../cli/dev/merge-config.ts'

test('merges maps, replaces lists and values, and leaves the base as it was', () => {
  const base = {
    host: 'dev-1',
    network: { bridge: 'pv0', pools: [{ name: 'a' }, { name: 'b' }] },
    capacity: { jails: 1000, cpu: 10 },
  }
  const copy = structuredClone(base)
  expect(mergeConfig(base, { network: { pools: [{ name: 'c' }] }, capacity: { jails: 2 }, labels: { rack: 'r1' } })).toEqual({
    host: 'dev-1',
    network: { bridge: 'pv0', pools: [{ name: 'c' }] },
    capacity: { jails: 2, cpu: 10 },
    labels: { rack: 'r1' },
  })
  expect(base).toEqual(copy)
})

test('adds worlds, and replaces one of the same name as a whole', () => {
  const base = {
    worlds: [
      { name: 'busybox', method: 'busybox', prefill: true },
      { name: 'debian-12', method: 'debootstrap', suite: 'bookworm' },
    ],
  }
  expect(
    mergeConfig(base, {
      worlds: [
        { name: 'debian-12', method: 'tree', path: '/t' },
        { name: 'mine', method: 'tree', path: '/m' },
      ],
    }),
  ).toEqual({
    worlds: [
      { name: 'busybox', method: 'busybox', prefill: true },
      { name: 'debian-12', method: 'tree', path: '/t' },
      { name: 'mine', method: 'tree', path: '/m' },
    ],
  })
})
