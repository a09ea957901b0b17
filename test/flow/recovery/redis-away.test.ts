import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { connectRedis } from '#shared/redis/connect-redis.ts'
import { findProgram } from '../../../worker/host/run-command.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { freePort } from '../../support/free-port.ts'
import { until } from '../../support/until.ts'

/** A Redis of the test's own, which may still be starting when it is first used. */
async function ownRedis(skip: (why: string) => never) {
  const program = findProgram('redis-server', process.env['PATH'] ?? '')
  if (!program) return skip('no redis-server here')
  const directory = await mkdtemp(join(tmpdir(), 'provost-redis-'))
  const port = await freePort()
  const server = spawn(program, ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory, '--save', ''], {
    stdio: 'ignore',
  })
  onTestFinished(async () => {
    server.kill('SIGKILL')
    await rm(directory, { recursive: true, force: true })
  })
  return { server, redis: { url: `redis://127.0.0.1:${port}`, prefix: '{away}' } }
}

test('a fleet that is up before its Redis does what it accepts', async ({ skip }) => {
  const { redis } = await ownRedis(skip)
  const fleet = await startFleet(redis)
  expect((await fleet.ended(await fleet.ask('web1'))).status).toBe('succeeded')
  await fleet.stop()
})

test('without Redis every call is refused at once, and services stop all the same', async ({ skip }) => {
  const { server, redis } = await ownRedis(skip)
  const fleet = await startFleet(redis)
  expect((await fleet.ended(await fleet.ask('web1'))).status).toBe('succeeded')

  server.kill('SIGKILL')
  await once(server, 'exit')
  await sleep(100)
  for (const [method, path] of [
    ['GET', '/v1/jails'],
    ['GET', '/v1/operations/x/events'],
    ['DELETE', '/v1/jails/web1'],
  ] as const) {
    const { status, body, headers } = await fleet.call(method, path)
    expect([path, status, body.code, headers.get('retry-after')]).toEqual([path, 503, 'queue_unavailable', '2'])
  }
  expect((await fleet.ask('web2')).body.code).toBe('queue_unavailable')

  const before = Date.now()
  await fleet.stop()
  expect(Date.now() - before).toBeLessThan(10_000)
})

test('an operation that meets a full Redis waits until there is room', async ({ skip }) => {
  const { redis } = await ownRedis(skip)
  const fleet = await startFleet(redis)
  const connection = connectRedis(redis.url)
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  fleet.host().before('ensureRoot', () => held)
  const asked = await fleet.ask('web1')
  await until('it to be at its root', async () => fleet.host().deeds.includes('ensureRoot web1'))
  await connection.config('SET', 'maxmemory', '1mb')
  const refused = await fleet.ask('web2')
  expect([refused.status, refused.body.code]).toEqual([503, 'queue_unavailable'])
  release()
  await sleep(1_500)
  await connection.config('SET', 'maxmemory', '0')
  expect((await fleet.ended(asked)).status).toBe('succeeded')
  connection.disconnect()
  await fleet.stop()
})

test('a jail whose world was filled while Redis took no writes goes on soon after', async ({ skip }) => {
  const { redis } = await ownRedis(skip)
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
  const { promise: open, resolve: answer } = Promise.withResolvers<void>()
  const mirror = createServer(async (_request, response) => {
    ask()
    await open
    response.end('this is no archive')
  }).listen(0, '127.0.0.1')
  await once(mirror, 'listening')
  const url = `http://127.0.0.1:${(mirror.address() as AddressInfo).port}/base.tar`
  const worlds = [{ name: 'remote', method: 'archive' as const, url, sha256: 'a'.repeat(64), prefill: false }]
  const fleet = await startFleet(redis, { worlds })
  const connection = connectRedis(redis.url)
  const accepted = await fleet.ask('web1', { world: 'remote' })
  await asked
  await until('it to wait', async () => (await fleet.operation(accepted.body.operation.id)).waiting)
  // As with Sentinel while no replica is there.
  await connection.config('SET', 'min-replicas-to-write', '1')
  expect((await fleet.ask('web2')).body.code).toBe('queue_unavailable')
  answer()
  await sleep(1_500)
  await connection.config('SET', 'min-replicas-to-write', '0')
  expect(await fleet.ended(accepted)).toMatchObject({ status: 'failed', error: { code: 'checksum_mismatch' } })
  connection.disconnect()
  mirror.close()
  await fleet.stop()
})

test('a worker that starts while Redis is full waits until there is room', async ({ skip }) => {
  const { redis } = await ownRedis(skip)
  const fleet = await startFleet(redis)
  const connection = connectRedis(redis.url)
  await fleet.stopHost()
  await connection.config('SET', 'maxmemory', '1mb')
  const started = fleet.startHost('host1')
  await sleep(1_500)
  await connection.config('SET', 'maxmemory', '0')
  await started
  const accepted = await until('a jail to be accepted', async () => {
    const answer = await fleet.ask('web1')
    return answer.status === 202 && answer
  })
  expect((await fleet.ended(accepted)).status).toBe('succeeded')
  connection.disconnect()
  await fleet.stop()
})
