import { describe, expect } from 'vitest'
import { scaledTiming } from '#shared/process/timing.ts'
import { bindOperation, readRecorded } from '../../../worker/plans/read-record.ts'
import { openPresence } from '../../../worker/reports/presence.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { type TestRedis, test } from '../../support/redis/redis-test.ts'
import { makeJob } from '../../worker/samples.ts'

const another = '/another/root, inode 1, boot 2'

test('a worker whose host has another one undoes what it has begun, says nothing of it, and ends', async ({ redis }) => {
  const fleet = await startFleet(redis, { timing: scaledTiming(0.2) })
  await fleet.ended(await fleet.ask('kept'))
  const gate = makeGate()
  fleet.host().before('ensureJail', gate.wait)
  const asked = await fleet.ask('begun')
  await fleet.host().begins('ensureJail begun')

  const { redis: connection, keys } = storeOf(redis)
  await connection.set(keys.hostAlive('host1'), another, 'PX', 60_000)
  const failure = await fleet.failure()
  expect(failure).toMatchObject({
    code: 'host_unfit',
    message: expect.stringMatching(/Another worker has taken .* host1 .*: \/another/),
  })
  const later = await fleet.ask('later')
  gate.open()
  await fleet.stopHost()

  expect(fleet.host().state()).toEqual({ roots: ['kept'], networks: ['kept'], jails: ['kept'] })
  expect(fleet.host().deeds.filter((deed) => deed.endsWith('later'))).toEqual([])
  for (const { body } of [asked, later]) expect(await fleet.operation(body.operation.id)).not.toHaveProperty('error')
  expect(await connection.get(keys.hostAlive('host1'))).toBe(another)
  await fleet.stop()
})

describe('an operation', () => {
  const job = makeJob()

  async function ask(at: TestRedis, root: string) {
    const { redis, keys } = storeOf(at)
    const named = { key: keys.hostAlive('host1'), beatKey: keys.hostBeat('host1'), worker: `${root}, boot 1`, lastsMs: 10_000 }
    const presence = openPresence(redis, 'host1', named)
    return { deps: { redis, keys, presence, root }, binding: keys.binding('host1', job.operation, job.epoch) }
  }

  test('is not bound by a worker that has lost the name of its host since it looked last', async ({ redis }) => {
    const { deps, binding } = await ask(redis, '/root1')
    await deps.presence.take(new AbortController().signal)
    await deps.redis.set(deps.presence.key, another)
    await expect(bindOperation(deps, job)).rejects.toMatchObject({ code: 'host_unfit' })
    expect(await deps.redis.exists(binding)).toBe(0)
    // Not even once the other one is gone: that may have made jails meanwhile.
    await deps.redis.del(deps.presence.key)
    await expect(readRecorded(deps, job)).rejects.toMatchObject({ code: 'host_unfit' })
  })

  test('that one root of a host has begun is not bound by another', async ({ redis }) => {
    const { deps: first } = await ask(redis, '/root1')
    expect(await bindOperation(first, job)).toEqual({ type: 'bound' })
    expect(await bindOperation(first, job)).toEqual({ type: 'bound' })
    await first.redis.del(first.presence.key)
    const { deps: second } = await ask(redis, '/root2')
    expect(await bindOperation(second, job)).toEqual({ type: 'elsewhere', root: '/root1' })
  })

  test.for([
    ['bound 5', 'bound'],
    ['moved', 'moved'],
  ])('whose binding is "%s" is %s', async ([before = '', type], { redis }) => {
    const { deps, binding } = await ask(redis, '/root1')
    await deps.redis.set(binding, before)
    expect(await bindOperation(deps, job)).toEqual({ type })
  })
})
