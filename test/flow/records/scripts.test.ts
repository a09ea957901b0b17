import { describe, expect } from 'vitest'
import type { Unchanged } from '../../../producer/records/change.ts'
import { readCleaning, unlessCleaned } from '../../../producer/records/operations/cleaning.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test } from '../../support/redis/redis-test.ts'

/** The two scripts that write records, each asked with what must be as it was read. */
function writersOf(redis: { url: string; prefix: string }) {
  const store = storeOf(redis)
  const { keys, scripts } = store
  const admission = {
    name: 'web1',
    jailKey: keys.jail('web1'),
    operationKey: keys.operation('o1'),
    commands: [],
    events: [],
    release: [],
  }
  return {
    ...store,
    commit: async (unchanged: Unchanged[]) => (await scripts.commit({ unchanged, commands: [], events: [] })).type,
    admit: async (unchanged: Unchanged[]) => {
      const input = JSON.stringify({ ...admission, unchanged, candidates: [] })
      const [type] = await scripts.admit(
        [keys.eventSequence, keys.events, keys.leases, keys.epoch, keys.fleet, keys.jails()],
        input,
      )
      return type
    },
  }
}

describe('a change', () => {
  test('goes through only if every field is as it was read, in either script', async ({ redis: at }) => {
    const { redis, keys, scripts, commit, admit } = writersOf(at)
    const key = `${at.prefix}:record`
    const asked: [Unchanged[], isSame: boolean][] = [
      [[[key, 'revision', '7']], true],
      [[[key, 'revision', '8']], false],
      [[[key, 'revision', '']], false],
      [[[key, 'revision', null]], false],
      [[[key, 'other', null]], true],
      [[[`${key}-of-nobody`, 'revision', null]], true],
      [[[`${key}-of-nobody`, 'revision', '']], false],
      [
        [
          [key, 'revision', '7'],
          [key, 'other', 'x'],
        ],
        false,
      ],
    ]
    await redis.hset(key, 'revision', '7')
    await scripts.countLeases([keys.leases], 'set')
    for (const [unchanged, isSame] of asked) {
      const answers = [await commit(unchanged), await admit(unchanged)]
      expect([unchanged, ...answers]).toEqual([unchanged, ...(isSame ? ['done', 'refused'] : ['changed', 'changed'])])
    }
  })

  test('that answers a request is done once, and not for another request under its key', async ({ redis: at }) => {
    const { redis, keys, scripts } = writersOf(at)
    const idempotency = { key: keys.idempotency('fleet', 'k'), fingerprint: 'f', ttl: 60, operation: 'o1' }
    const change = { unchanged: [], commands: [['INCR', `${at.prefix}:count`]], events: [] }
    const first = await scripts.commit({ ...change, idempotency })
    const again = await scripts.commit({ ...change, idempotency: { ...idempotency, operation: 'o2' } })
    const other = await scripts.commit({ ...change, idempotency: { ...idempotency, fingerprint: 'g' } })
    expect([first.type, again, other.type]).toEqual(['done', { type: 'replayed', operation: 'o1' }, 'reused'])
    expect(await redis.get(`${at.prefix}:count`)).toBe('1')
  })
})

test('a lock is also one for a producer of the version before, and its lock for this one', async ({ redis: at }) => {
  const { redis, keys, scripts } = writersOf(at)
  const [ours, theirs] = [keys.batchLock('ours'), keys.batchLock('theirs')]
  expect(await scripts.lock([ours], 'token', 5_000)).toBe(1)
  expect(await redis.hsetnx(ours, 'revision', 'theirs')).toBe(0)
  await redis.hset(theirs, 'revision', 'theirs')
  expect(await scripts.lock([theirs], 'token', 5_000)).toBe(0)
})

test('an orphan that a producer of the version before destroys counts as cleaned', async ({ redis: at }) => {
  const store = writersOf(at)
  await store.redis.hset(store.keys.cleaning('p1'), 'revision', 'o1')
  const { operation, unchanged } = await readCleaning(store, 'p1')
  expect([operation, await store.commit(unchanged), await store.commit(unlessCleaned('p1', store.keys))]).toEqual([
    'o1',
    'done',
    'changed',
  ])
})

test('a fleet of the version before keeps its id, which that version still finds', async ({ redis: at }) => {
  const { redis, keys, scripts } = writersOf(at)
  await redis.hset(keys.fleet, 'revision', 'the-old-one', 'foundedAt', '1', 'expected', '0')
  const input = JSON.stringify({ id: 'a-new-one', foundedAt: '2', had: false, hosts: [], awaited: '{}' })
  expect(await scripts.createFleet([keys.fleet, keys.fleetHosts, keys.jails()], input)).toBe(0)
  expect(await redis.hgetall(keys.fleet)).toEqual({ id: 'the-old-one', revision: 'the-old-one', foundedAt: '1', expected: '0' })
})
