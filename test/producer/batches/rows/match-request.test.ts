import { expect, test } from 'vitest'
import type { CreateJail } from '#shared/jail.ts'
import { matchesRequest } from '../../../../producer/batches/rows/match-request.ts'
import type { JailRecord } from '../../../../producer/records/jails/jail-record.ts'

const jail = {
  name: 'web_1',
  client: 'acme',
  world: 'tiny',
  hostname: 'web-1',
  host: 'host1',
  leases: [
    ['10.0.0.7', 24, '10.0.0.0/24'],
    ['fd00::7', 64, 'fd00::/64'],
  ],
  limits: { memory: 1024, cpu: 0.5, processes: 10 },
  labels: { tier: 'gold' },
} as unknown as JailRecord

const ask: CreateJail = { name: 'web_1', client: 'acme', world: 'tiny', labels: { tier: 'gold' } }

test.each<[same: boolean, change: Partial<CreateJail>]>([
  [true, {}],
  [true, { hostname: 'web-1', host: 'host1', limits: { memory: 1024 }, addresses: ['10.0.0.7/24', 'FD00:0::7'] }],
  [true, { limits: { memory: 1024, disk: undefined } as never }],
  [false, { client: 'other' }],
  [false, { world: 'other' }],
  [false, { hostname: 'other' }],
  [false, { host: 'host2' }],
  [false, { limits: { memory: 2048 } }],
  [false, { limits: { disk: 2048 } }],
  [false, { addresses: ['10.0.0.8'] }],
  [false, { labels: {} }],
  [false, { command: ['/bin/sh'] }],
  [true, { privileges: { setuid: false } }],
  [false, { privileges: { setuid: true } }],
])('is %s for a jail when %j is asked', (same, change) => {
  expect(matchesRequest(jail, { ...ask, ...change })).toBe(same)
})

test.each([
  [true, { privileges: { setuid: true } }],
  [false, {}],
])('is %s for a jail that may use setuid programs when %j is asked', (same, change) => {
  expect(matchesRequest({ ...jail, privileges: { setuid: true } }, { ...ask, ...change })).toBe(same)
})

test.each(['failed', 'destroying'] as const)('a jail that is %s is not what is asked', (state) => {
  expect(matchesRequest({ ...jail, state }, ask)).toBe(false)
})
