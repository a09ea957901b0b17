import { Queue } from 'bullmq'
import { describe, expect } from 'vitest'
import type { HostNotice, Job } from '#shared/job.ts'
import { queueName } from '#shared/redis/queues.ts'
import { type Signed, withSignature } from '#shared/signing/signatures.ts'
import { toJob } from '../../../producer/queues/enqueue.ts'
import { makeSecrets } from '../../../producer/secrets/secrets.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { testSecrets } from '../../support/fleets/test-producer.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import type { TestRedis } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

const notOurs = 'job_refused: Host host1 refuses the job: it does not bear the signature of a producer of this fleet.'

/** The job of the provision of `web1` as its producer has signed it, with another kind if it is named. */
async function jobOf(redis: TestRedis, change: Partial<Job> = {}): Promise<Signed<Job>> {
  const { records } = storeOf(redis)
  const jail = await records.jail('web1')
  const operation = jail && (await records.operation(jail.provision))
  if (!jail || !operation) throw new Error('no records')
  return withSignature('job', { ...toJob({ jail, operation }), ...change } as Job, testSecrets.signer)
}

/** Puts a job into a queue of host1 as whoever writes to Redis can, and returns how it failed. */
async function insert(redis: TestRedis, name: string, data: unknown): Promise<string | undefined> {
  const { redis: connection, keys } = storeOf(redis)
  const kind = name === 'build' ? 'build' : name === 'start' ? 'start' : 'stop'
  const queue = new Queue(queueName('host1', kind), { connection, prefix: keys.host('host1') })
  const { id } = await queue.add(name, data)
  const reason = await until('the job to fail', async () => (await queue.getJob(id ?? ''))?.failedReason)
  await queue.close()
  return reason
}

describe('a job that whoever writes to Redis has put there', () => {
  test('is refused unsigned, altered, by another key, for another host, expired and under another name', async ({
    fleet,
    redis,
  }) => {
    await fleet.ended(await fleet.ask('web1'))
    const destroy = { kind: 'destroy', epoch: 1_000, operation: crypto.randomUUID() } as const
    const { signature, ...unsigned } = await jobOf(redis, destroy)
    const before = fleet.host().deeds.length
    expect(await insert(redis, 'destroy', unsigned)).toBe(notOurs)
    // The signature of the provision, which anyone can read.
    expect(await insert(redis, 'destroy', { ...(await jobOf(redis)), ...destroy })).toBe(notOurs)
    expect(await insert(redis, 'destroy', { ...unsigned, signature, attempt: 2 })).toBe(notOurs)
    expect(await insert(redis, 'destroy', withSignature('job', unsigned, makeSecrets().signer))).toBe(notOurs)
    expect(await insert(redis, 'destroy', withSignature('notice', unsigned, testSecrets.signer))).toBe(notOurs)
    expect(await insert(redis, 'destroy', { kind: 'destroy', operation: unsigned.operation })).toBe(notOurs)
    const elsewhere = await jobOf(redis, { ...destroy, host: 'host2' })
    expect(await insert(redis, 'destroy', elsewhere)).toBe('job_refused: Host host1 refuses the job: it is for host host2.')
    const expiresAt = '2026-01-01T00:00:00.000Z'
    expect(await insert(redis, 'destroy', await jobOf(redis, { ...destroy, expiresAt }))).toBe(
      `job_refused: Host host1 refuses the job: it has expired ${expiresAt}.`,
    )
    expect(await insert(redis, 'start', await jobOf(redis, destroy))).toBe(
      'job_refused: Host host1 refuses the job: a destroy has no job called start.',
    )
    expect(fleet.host().deeds.slice(before)).toEqual([])
    expect((await fleet.call('GET', '/v1/jails/web1')).body).toMatchObject({ state: 'running' })
  })

  test('is no command again once it has ended', async ({ fleet, redis }) => {
    await fleet.ended(await fleet.ask('web1'))
    const provision = await jobOf(redis)
    await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))
    const before = fleet.host().deeds.length
    const { redis: connection, keys } = storeOf(redis)
    const queue = new Queue(queueName('host1', 'build'), { connection, prefix: keys.host('host1') })
    const { id } = await queue.add('build', provision)
    await until('the job to end', async () => (await queue.getJob(id ?? ''))?.finishedOn)
    await queue.close()
    expect(
      fleet
        .host()
        .deeds.slice(before)
        .filter((deed) => /ensure/.test(deed)),
    ).toEqual([])
    expect((await fleet.call('GET', '/v1/jails/web1')).status).toBe(404)
  })
})

test('a notice that nobody has signed has no effect', async ({ fleet, redis }) => {
  await fleet.ended(await fleet.ask('web1'))
  const { redis: connection, keys } = storeOf(redis)
  const request = crypto.randomUUID()
  const notice: HostNotice = { type: 'read-console', jail: 'web1', request, mostBytes: 100 }
  const envelope = { host: 'host1', expiresAt: new Date(Date.now() + 60_000).toISOString() }
  const asks = [
    notice,
    withSignature('notice', { ...notice, ...envelope }, makeSecrets().signer),
    withSignature('notice', { ...notice, ...envelope, host: 'host2' }, testSecrets.signer),
    withSignature('notice', { ...notice, ...envelope, expiresAt: '2026-01-01T00:00:00.000Z' }, testSecrets.signer),
  ]
  for (const ask of asks) await connection.publish(keys.notices('host1'), JSON.stringify(ask))
  // Notices are acted on in their order, so those before it were seen.
  const last = crypto.randomUUID()
  const good = withSignature('notice', { ...notice, ...envelope, request: last }, testSecrets.signer)
  await connection.publish(keys.notices('host1'), JSON.stringify(good))
  await until('the one that is signed to be answered', () => connection.get(keys.console('host1', last)))
  expect(await connection.get(keys.console('host1', request))).toBeNull()
})
