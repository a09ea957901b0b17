import { pino } from 'pino'
import { expect, onTestFinished } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import type { CreateJail } from '#shared/jail.ts'
import { standardTiming } from '#shared/process/timing.ts'
import { connectRedis } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import { newBatch, readBatch } from '../../../producer/batches/batch-record.ts'
import { makeChangeBatch } from '../../../producer/batches/change-batch.ts'
import { makeClaims } from '../../../producer/batches/intake/claim-names.ts'
import { startBatches } from '../../../producer/batches/run-batches.ts'
import type { Answer } from '../../../producer/operations/accept.ts'
import type { PlacementHost } from '../../../producer/placement/choose-host.ts'
import { makeRecords, toFields } from '../../../producer/records/records.ts'
import { makeScripts } from '../../../producer/records/scripts.ts'
import { hostReport } from '../../support/hosts/write-host.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

const id = 'b1'

/** A batch of so many rows, and all that runs and changes it but the admission of its jails. */
async function openBatch(at: { url: string; prefix: string }, rows: number) {
  const redis = connectRedis(at.url)
  onTestFinished(() => redis.disconnect())
  const keys = redisKeys(at.prefix)
  const log = pino({ level: 'silent' })
  const scripts = makeScripts(redis, keys)
  const records = makeRecords(redis, keys)
  const claims = makeClaims({ redis, keys, records })
  const common = { redis, keys, scripts, records, claims, log }
  const change = makeChangeBatch({ ...common, operate: { cancel: async () => ({}) as Answer } })
  const record = newBatch(id, { maxInFlight: 50, maxFailures: 0 }, { rows, skipped: 0 }, new Date())
  const names = Array.from({ length: rows }, (_, i) => `row${i}`)
  const texts = names.map((name, i) => JSON.stringify({ line: i + 2, ask: { name, client: 'acme', world: 'tiny' } }))
  await redis
    .multi()
    .hset(keys.batch(id), ...toFields({ ...record, revision: '1' }))
    .rpush(keys.batchRows(id), ...texts)
    .hset(keys.claims, ...names.flatMap((name) => [name, id]))
    .zadd(keys.batches(), '0', id)
    .zadd(keys.batches('open'), '0', id)
    .exec()
  const host = { ...hostReport('host1'), state: 'up', operations: 0 } as unknown as PlacementHost

  return {
    ...common,
    change,
    /** Runs it until the test is over. `create` stands for the admission of a row. */
    run(create: (ask: CreateJail) => Promise<unknown>, other: object = {}): void {
      const stop = startBatches({
        ...common,
        operate: { create: async (ask) => (await create(ask)) as Answer, retry: async () => ({}) as Answer },
        hosts: { all: () => [host] },
        feed: { subscribe: () => () => undefined },
        timing: { ...standardTiming, look: 20 },
        ...other,
      })
      onTestFinished(stop)
    },
    batch: async () => (await readBatch(redis, keys, id)) ?? expect.unreachable('a batch without a record'),
    /** As long as it takes to ask Redis some times. */
    async aMoment() {
      for (let i = 0; i < 50; i += 1) await redis.ping()
    },
  }
}

const full = () => {
  throw new ProvostError('no_capacity', 'all is full')
}
const unknown = () => {
  throw new ProvostError('unsupported_limit', 'no')
}

test('a pause that comes while rows are released says who paused, whatever the rows wait for', async ({ redis }) => {
  const { run, change, batch, aMoment } = await openBatch(redis, 1)
  let paused: Promise<unknown> | undefined
  run(async () => {
    paused ??= change.pause(id)
    await aMoment()
    full()
  })
  await until('it to be paused', async () => (await batch()).status === 'paused')
  await paused
  await aMoment()
  expect(await batch()).toMatchObject({ status: 'paused', reason: 'somebody paused it' })
})

test('a retry that comes as a batch ends is done', async ({ redis }) => {
  const { run, change, batch, aMoment, scripts, claims } = await openBatch(redis, 1)
  let creates = 0
  let retried: Promise<unknown> | undefined
  run(
    async () => {
      creates += 1
      unknown()
    },
    {
      scripts: {
        ...scripts,
        commit: async (asked: Parameters<typeof scripts.commit>[0]) => {
          if (asked.commands.some((command) => command.includes('finishedAt')) && !retried) {
            retried = change.retry(id)
            await aMoment()
          }
          return scripts.commit(asked)
        },
      },
      claims,
    },
  )
  await until('the row to be tried again', async () => creates === 2)
  await retried
  await until('it to end', async () => (await batch()).finishedAt !== null)
  expect((await batch()).retryCause).toBeUndefined()
})

test('who holds a batch no longer writes nothing of it, so that no row counts twice', async ({ redis: at }) => {
  const { run, change, batch, aMoment, redis, keys } = await openBatch(at, 2)
  let cancelled: Promise<unknown> | undefined
  run(async () => {
    // As it expires in a producer that hangs.
    if (!cancelled) {
      await redis.del(keys.batchLock(id))
      cancelled = change.cancel(id, 'finish')
    }
    await cancelled
    unknown()
  })
  await until('it to end', async () => (await batch()).finishedAt !== null)
  await aMoment()
  expect(await batch()).toMatchObject({ status: 'cancelled', queued: 0, running: 0, failed: 0, cancelled: 2 })
})

test('a batch is let go only when all of its rows were answered, also when Redis was away for one', async ({ redis: at }) => {
  const { run, redis, keys } = await openBatch(at, 2)
  const seen: boolean[] = []
  let creates = 0
  run(async ({ name }) => {
    creates += 1
    if (name === 'row0') throw new ProvostError('queue_unavailable', 'away')
    for (let i = 0; i < 50; i += 1) await redis.ping()
    seen.push((await redis.exists(keys.batchLock(id))) === 1)
    full()
  })
  await until('both to be tried', async () => creates >= 2 && seen.length > 0)
  expect(seen[0]).toBe(true)
})

test('a batch that has ended keeps no name, also when Redis was away as they were given back', async ({ redis: at }) => {
  const { run, batch, redis, keys, claims } = await openBatch(at, 3)
  let times = 0
  const giveBack: typeof claims.giveBack = async (...args) => {
    times += 1
    if (times === 1) throw new Error('Connection is closed.')
    return claims.giveBack(...args)
  }
  run(async () => unknown(), { claims: { ...claims, giveBack } })
  await until('it to end', async () => (await batch()).finishedAt !== null)
  expect([await redis.hgetall(keys.claims), (await batch()).failed]).toEqual([{}, 3])
})

test('a cancelled batch keeps no name, also when its producer died as they were given back', async ({ redis: at }) => {
  const { run, batch, redis, keys, change, claims } = await openBatch(at, 3)
  await change.cancel(id, 'finish')
  // What is then left.
  await redis.hset(keys.claims, 'row2', id)
  run(async () => full(), { claims })
  await until('it to end', async () => (await batch()).finishedAt !== null)
  expect(await redis.hgetall(keys.claims)).toEqual({})
})

test('rows that find no place do not keep those behind them from one', async ({ redis: at }) => {
  const { run, batch, redis, keys } = await openBatch(at, 60)
  const tried = new Set<string>()
  run(async ({ name }) => {
    tried.add(name)
    // Those that waited are due again at once.
    for (const number of await redis.zrange(keys.batchDeferred(id), '0', '-1'))
      await redis.zadd(keys.batchDeferred(id), '0', number)
    full()
  })
  await until('the last row to be tried', async () => tried.has('row59'))
  expect((await batch()).queued).toBe(60)
})

test('a retry is of what had failed when it was asked for, whatever the clock of its host says', async ({ redis: at }) => {
  const { run, batch, redis, keys, change } = await openBatch(at, 1)
  const operation = {
    ...{ id: 'o1', kind: 'provision', jail: 'row0', batch: id, status: 'failed', percent: 0, step: null, steps: [], attempt: 1 },
    ...{
      createdAt: '2026-01-01T00:00:00.000Z',
      startedAt: null,
      finishedAt: '2100-01-01T00:00:00.000Z',
      host: 'host1',
      epoch: 3,
    },
    ...{ sequence: 0, wakeup: 1, revision: '1' },
  }
  await redis
    .multi()
    .hset(keys.operation('o1'), ...toFields(operation))
    .zadd(keys.operations('batch', id), '0', 'o1')
    .zadd(keys.operations('status', 'failed'), '0', 'o1')
    .hset(keys.batchOutcomes(id), '0', 'o1')
    .hset(keys.batch(id), 'queued', '0', 'failed', '1', 'cursor', '1', 'status', 'failed', 'finishedAt', operation.createdAt)
    .set(keys.epoch, '3')
    .exec()
  const retried: string[] = []
  await change.retry(id)
  run(async () => full(), {
    operate: { create: full, retry: async (which: string) => void retried.push(which) },
  })
  await until('the retry to be over', async () => (await batch()).retryCause === undefined)
  expect(retried).toEqual(['o1'])
})
