import { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { v7 as uuid } from 'uuid'
import { describe, expect } from 'vitest'
import { Drift } from '#shared/host.ts'
import { type JailJob, planVersion } from '#shared/job.ts'
import { type RedisKeys, redisKeys } from '#shared/redis/keys.ts'
import { queueName } from '#shared/redis/queues.ts'
import { withSignature } from '#shared/signing/signatures.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { testSecrets } from '../../support/fleets/test-producer.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test as base } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

const test = base.extend<{ connection: Redis; keys: RedisKeys }>({
  connection: async ({ redis }, use) => use(storeOf(redis).redis),
  keys: async ({ redis }, use) => use(redisKeys(redis.prefix)),
})

async function readDrift(connection: Redis, keys: RedisKeys, jail: string): Promise<Drift | undefined> {
  const text = await connection.hget(keys.hostDrift('host1'), jail)
  return text === null ? undefined : Drift.parse(JSON.parse(text))
}

/** What a move changes of the records. */
async function moveRecords(connection: Redis, keys: RedisKeys, jail: string, operation: string): Promise<void> {
  const moved = { host: 'host2', epoch: '1000' }
  await connection.multi().hset(keys.jail(jail), moved).hset(keys.operation(operation), moved).exec()
}

describe('a host that comes back', () => {
  test('notes a jail that the fleet does not know, and leaves it alone until it is known', async ({
    redis,
    connection,
    keys,
  }) => {
    const fleet = await startFleet(redis)
    await fleet.ended(await fleet.ask('web1'))
    await fleet.stopHost()
    const record = await connection.hgetall(keys.jail('web1'))
    await connection.del(keys.jail('web1'))
    const deeds = fleet.host().deeds.length

    await fleet.startHost('host1')
    expect(await readDrift(connection, keys, 'web1')).toMatchObject({
      found: 'orphan',
      jail: 'web1',
      reason: 'The fleet does not know it.',
      wanted: 'running',
      epoch: Number(record['epoch']),
      spec: { provision: record['provision'], client: 'acme', addresses: [expect.stringMatching(/^10\.99\.0\./)] },
    })
    await until('the jail to have been looked at', async () => fleet.host().deeds.slice(deeds).includes('proveIsolation web1'))
    expect(fleet.host().state()).toEqual({ roots: ['web1'], networks: ['web1'], jails: ['web1'] })
    expect(
      fleet
        .host()
        .deeds.slice(deeds)
        .filter((deed) => deed.startsWith('remove')),
    ).toEqual([])

    await fleet.stopHost()
    await connection.hset(keys.jail('web1'), record)
    await fleet.startHost('host1')
    expect(await readDrift(connection, keys, 'web1')).toBeUndefined()
    await fleet.stop()
  })

  test('destroys a jail that the fleet does not know when told so, and forgets it', async ({ redis, connection, keys }) => {
    const fleet = await startFleet(redis)
    await fleet.ended(await fleet.ask('web1'))
    await fleet.stopHost()
    await connection.del(keys.jail('web1'))
    await fleet.startHost('host1')
    const note = await readDrift(connection, keys, 'web1')
    if (note?.found !== 'orphan') throw new Error('no orphan')
    const queue = new Queue(queueName('host1', 'stop'), {
      connection: { url: redis.url },
      prefix: keys.host('host1'),
    })
    const destroy: JailJob = {
      version: 1,
      operation: uuid(),
      kind: 'destroy',
      plan: planVersion,
      host: 'host1',
      epoch: 1000,
      attempt: 1,
      issuedAt: new Date().toISOString(),
      expiresAt: new Date(Date.now() + 60_000).toISOString(),
      jail: note.spec,
    }
    await connection.hset(keys.operation(destroy.operation), { status: 'queued', host: 'host1', epoch: 1000, attempt: 1 })
    await queue.add('destroy', withSignature('job', destroy, testSecrets.signer))
    await until('the note to be gone', async () => (await readDrift(connection, keys, 'web1')) === undefined)
    expect(fleet.host().state()).toEqual({ roots: [], networks: [], jails: [] })
    await queue.close()
    await fleet.stop()
  })

  test('undoes what it had begun of a jail that was moved away meanwhile', async ({ redis, connection, keys }) => {
    const fleet = await startFleet(redis)
    const gate = makeGate()
    fleet.host().before('ensureRoot', gate.wait)
    const asked = await fleet.ask('web1')
    await fleet.host().begins('ensureRoot web1')
    const stopped = fleet.stopHost()
    gate.open()
    await stopped
    expect(fleet.host().state().roots).toEqual(['web1'])
    await moveRecords(connection, keys, 'web1', asked.body.operation.id)
    // Its jobs went along.
    await connection.unlink(...(await connection.keys(`${keys.host('host1')}:host1.*`)))

    await fleet.startHost('host1')
    expect(fleet.host().state()).toEqual({ roots: [], networks: [], jails: [] })
    expect(fleet.host().deeds).toEqual(['ensureRoot web1', 'removeRoot web1'])
    expect(await readDrift(connection, keys, 'web1')).toBeUndefined()
    await fleet.stop()
  })

  test('touches no jail that its record has on another host though nobody has moved it', async ({ redis, connection, keys }) => {
    const fleet = await startFleet(redis)
    await fleet.ended(await fleet.ask('web1'))
    await fleet.stopHost()
    // As after the host was given another name: also with an operation accepted since.
    await connection.hset(keys.jail('web1'), { host: 'former', epoch: '1000' })
    await connection.hset(keys.operation((await fleet.jail('web1'))?.lastOperation ?? ''), 'host', 'former')

    await fleet.startHost('host1')
    expect(await readDrift(connection, keys, 'web1')).toMatchObject({ reason: 'The fleet has it on host former.' })
    expect(fleet.host().state()).toEqual({ roots: ['web1'], networks: ['web1'], jails: ['web1'] })
    await fleet.stop()
  })
})

test('a job whose operation was moved away before it began runs no step', async ({ redis, connection, keys }) => {
  const fleet = await startFleet(redis, { capacity: { builds: 1 } })
  const gate = makeGate()
  fleet.host().before('ensureRoot', ({ name }) => (name === 'web1' ? gate.wait() : undefined))
  const first = await fleet.ask('web1')
  await fleet.host().begins('ensureRoot web1')
  const { id } = (await fleet.ask('web2')).body.operation
  const job = `${keys.host('host1')}:host1.build:${id}-1-build`
  await until('its job to be there', async () => (await connection.exists(job)) === 1)
  await moveRecords(connection, keys, 'web2', id)
  gate.open()
  const failure = await until('its job to have ended', async () => (await connection.hget(job, 'failedReason')) ?? undefined)
  expect(failure).toBe(`moved_away: Operation ${id} was moved away from host host1.`)
  expect((await fleet.ended(first)).status).toBe('succeeded')
  expect(fleet.host().deeds.filter((deed) => deed.endsWith(' web2'))).toEqual([])
  expect((await fleet.operation(id)).status).toBe('queued')
  await fleet.stop()
})
