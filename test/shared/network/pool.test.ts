import { expect, test } from 'vitest'
import { Pool } from '#shared/network/pool.ts'

test('the exclusions of a pool are checked when it is read, not when an address is leased', () => {
  const faults = (exclude: string[]) => {
    const { error } = Pool.safeParse({ name: 'main', cidr: '10.0.0.0/24', exclude })
    return error?.issues.map(({ path }) => path.join('.')) ?? []
  }
  expect(faults(['10.0.0.9', '10.0.0.128/25', '10.0.0.2-10.0.0.8'])).toEqual([])
  expect(faults(['10.0.0.300', 'fd00::1', '10.0.0.8-10.0.0.2', '10.0.0.2-', 'gateway', '10.0.0.1'])).toEqual([
    'exclude.0',
    'exclude.1',
    'exclude.2',
    'exclude.3',
    'exclude.4',
  ])
})
