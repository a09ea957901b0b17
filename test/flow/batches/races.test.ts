import { pino } from 'pino'
import { expect, onTestFinished } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import type { CreateJail } from '#shared/jail.ts'
import { repeat } from '#shared/process/repeat.ts'
import { standardTiming } from '#shared/process/timing.ts'
import { cancelBatch, pauseBatch, retryBatch } from '../../../producer/batches/change-batch.ts'
import { runBatches } from '../../../producer/batches/run-batches.ts'
import { newBatch, readBatch } from '../../../producer/records/batches/batch-record.ts'
import { toFields } from '../../../producer/records/fields.ts'
import type { Store } from '../../../producer/records/store.ts'
import { placementHost } from '../../producer/placement/placement-host.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

const id = 'b1'

/** A batch of so many rows, and all that runs and changes it but the admission of its jails. */
async function openBatch(at: { url: string; prefix: string }, rows: number) {
  const store = storeOf(at)
  const { redis, keys } = store
  const host = placementHost('host1')
  const deps = {
    ...store,
    log: pino({ level: 'silent' }),
    hosts: { all: () => [host], get: () => host, notePromise: () => undefined },
    placement: 'spread' as const,
    enqueue: async () => undefined,
  }
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

  return {
    ...store,
    pause: () => pauseBatch(store, id),
    cancel: () => cancelBatch(deps, id, 'finish'),
    retry: () => retryBatch(store, id),
    /** Runs it until the test is over. `admit` stands for the admission of a row: it throws why there is none. */
    run(admit: (ask: Pick<CreateJail, 'name'>) => Promise<void>, other: Partial<Store['scripts']> = {}): void {
      const scripts = { ...store.scripts, admit: admissionBy(admit), ...other }
      const feed = { subscribe: () => () => undefined }
      const timing = { ...standardTiming, look: 20 }
      const running = runBatches({ ...deps, scripts, feed, repeat, timing })
      onTestFinished(async () => void (await running.stop()))
    },
    batch: async () => (await readBatch(store, id)) ?? expect.unreachable('a batch without a record'),
    /** As long as it takes to ask Redis some times. */
    async aMoment() {
      for (let i = 0; i < 50; i += 1) await redis.ping()
    },
  }
}

/** What the script of admissions answers: that there is no room, or that another jail has the name. */
function admissionBy(admit: (ask: { name: string }) => Promise<void>): Store['scripts']['admit'] {
  return async (_keys, input) => {
    try {
      await admit({ name: JSON.parse(String(input)).name })
      return ['done', 'host1', '[]', '1', '1', '1']
    } catch (error) {
      if (!(error instanceof ProvostError)) throw error
      if (error.code === 'no_capacity') return ['refused', JSON.stringify([['host1', 'no_capacity', 'memory']])]
      if (error.code === 'name_taken') return ['taken', 'another']
      throw error
    }
  }
}

const full = () => {
  throw new ProvostError('no_capacity', 'all is full')
}
const taken = () => {
  throw new ProvostError('name_taken', 'somebody has it')
}

test('a pause that comes while rows are released says who paused, whatever the rows wait for', async ({ redis }) => {
  const { run, pause, batch, aMoment } = await openBatch(redis, 1)
  let paused: Promise<unknown> | undefined
  run(async () => {
    paused ??= pause()
    await aMoment()
    full()
  })
  await until('it to be paused', async () => (await batch()).status === 'paused')
  await paused
  await aMoment()
  expect(await batch()).toMatchObject({ status: 'paused', reason: 'somebody paused it' })
})

test('a retry that comes as a batch ends is done', async ({ redis }) => {
  const { run, retry, batch, aMoment, scripts } = await openBatch(redis, 1)
  let admissions = 0
  let retried: Promise<unknown> | undefined
  const commit: typeof scripts.commit = async (change) => {
    if (change.commands.some((command) => command.includes('finishedAt')) && !retried) {
      retried = retry()
      await aMoment()
    }
    return scripts.commit(change)
  }
  run(
    async () => {
      admissions += 1
      taken()
    },
    { commit },
  )
  await until('the row to be tried again', async () => admissions === 2)
  await retried
  await until('it to end', async () => (await batch()).finishedAt !== null)
  expect((await batch()).retryCause).toBeUndefined()
})

test('who has lost the lock of a batch writes nothing of it, so that no row counts twice', async ({ redis: at }) => {
  const { run, cancel, batch, aMoment, redis, keys } = await openBatch(at, 2)
  let cancelled: Promise<unknown> | undefined
  run(async () => {
    // As it expires in a producer that hangs.
    if (!cancelled) {
      await redis.del(keys.batchLock(id))
      cancelled = cancel()
    }
    await cancelled
    taken()
  })
  await until('it to end', async () => (await batch()).finishedAt !== null)
  await aMoment()
  expect(await batch()).toMatchObject({ status: 'cancelled', queued: 0, running: 0, failed: 0, cancelled: 2 })
})

test('the lock of a batch is given back only when all of its rows were answered, also when Redis was away for one', async ({
  redis: at,
}) => {
  const { run, redis, keys } = await openBatch(at, 2)
  const seen: boolean[] = []
  let admissions = 0
  run(async ({ name }) => {
    admissions += 1
    if (name === 'row0') throw new ProvostError('queue_unavailable', 'away')
    for (let i = 0; i < 50; i += 1) await redis.ping()
    seen.push((await redis.exists(keys.batchLock(id))) === 1)
    full()
  })
  await until('both to be tried', async () => admissions >= 2 && seen.length > 0)
  expect(seen[0]).toBe(true)
})

test('a batch that has ended keeps no name, also when Redis was away as they were given back', async ({ redis: at }) => {
  const { run, batch, redis, keys, scripts } = await openBatch(at, 3)
  let times = 0
  const returnNames: typeof scripts.returnNames = async (...args) => {
    times += 1
    if (times === 1) throw new Error('Connection is closed.')
    return scripts.returnNames(...args)
  }
  run(async () => taken(), { returnNames })
  await until('it to end', async () => (await batch()).finishedAt !== null)
  expect([await redis.hgetall(keys.claims), (await batch()).failed]).toEqual([{}, 3])
})

test('a cancelled batch keeps no name, also when its producer died as they were given back', async ({ redis: at }) => {
  const { run, batch, redis, keys, cancel } = await openBatch(at, 3)
  await cancel()
  // What is then left.
  await redis.hset(keys.claims, 'row2', id)
  run(async () => full())
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
  const { run, batch, redis, keys, records, retry } = await openBatch(at, 1)
  const createdAt = '2026-01-01T00:00:00.000Z'
  const operation = {
    ...{ id: 'o1', kind: 'provision', jail: 'row0', batch: id, status: 'failed', percent: 0, step: null, steps: [], attempt: 1 },
    ...{ createdAt, startedAt: null, finishedAt: '2100-01-01T00:00:00.000Z', host: 'host1', epoch: 3 },
    ...{ sequence: 0, wakeup: 1, revision: '1' },
  }
  const jail = {
    ...{ name: 'row0', provision: 'o1', client: 'acme', hostname: 'row0', world: 'tiny', worldDigest: 'd', host: 'host1' },
    ...{ leases: [], limits: { memory: 64, cpu: 0.1, processes: 10 }, labels: {}, state: 'failed', jid: null, epoch: 3 },
    ...{ lastOperation: 'o1', createdAt, updatedAt: createdAt, revision: '2' },
  }
  await redis
    .multi()
    .hset(keys.operation('o1'), ...toFields(operation))
    .hset(keys.jail('row0'), ...toFields(jail))
    .zadd(keys.operations('batch', id), '0', 'o1')
    .zadd(keys.operations('status', 'failed'), '0', 'o1')
    .hset(keys.batchOutcomes(id), '0', 'o1')
    .hset(keys.batch(id), 'queued', '0', 'failed', '1', 'cursor', '1', 'status', 'failed', 'finishedAt', createdAt)
    .set(keys.epoch, '3')
    .exec()
  await retry()
  run(async () => full())
  await until('the retry to be over', async () => (await batch()).retryCause === undefined)
  expect(await records.operation('o1')).toMatchObject({ attempt: 2, status: 'queued', epoch: 4 })
})
