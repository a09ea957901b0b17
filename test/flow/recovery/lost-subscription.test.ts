import { expect } from 'vitest'
import { hasEnded } from '#shared/operation.ts'
import { scaledTiming } from '#shared/process/timing.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { makeGate } from '../../support/gate.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test as withRedis } from '../../support/redis/redis-test.ts'
import { startTcpProxy, type TcpProxy } from '../../support/redis/tcp-proxy.ts'
import { until } from '../../support/until.ts'

/** `test` with a proxy to Redis, and a fleet behind it. */
const test = withRedis.extend<{ proxy: TcpProxy; proxied: { url: string; prefix: string } }>({
  proxy: async ({ redis }, use) => {
    const { hostname, port } = new URL(redis.url)
    const proxy = await startTcpProxy('127.0.0.1', { host: hostname, port: Number(port) })
    await use(proxy)
    await proxy.close()
  },
  proxied: ({ redis, proxy }, use) => use({ url: `redis://127.0.0.1:${proxy.port}`, prefix: redis.prefix }),
})

test('what a worker is asked for reaches it again once Redis has lost its subscription behind an open connection', async ({
  redis,
  proxy,
  proxied,
}) => {
  const fleet = await startFleet(proxied, { timing: scaledTiming(0.2) })
  const retry = () => fleet.call('POST', '/v1/hosts/host1/leftovers/retry')
  expect((await retry()).status).toBe(202)
  await proxy.swap()
  await until('the worker to be heard of again', async () => (await retry()).status === 202, 5_000)

  const gate = makeGate()
  fleet.host().before('ensureJail', gate.wait)
  const asked = await fleet.ask('web1')
  await fleet.host().begins('ensureJail web1')
  const listen = () => fleet.send(`/v1/operations/${asked.body.operation.id}/events`)
  const events = await listen()
  await proxy.swap()
  // A connection that was waiting for an answer is broken, and its request a 503.
  const cancel = () => fleet.call('DELETE', '/v1/jails/web1', undefined, { prefer: 'wait=20' })
  const waited = until('the cancel to be accepted', async () => {
    const answer = await cancel()
    return answer.status < 500 && answer
  })
  // Its notice is lost: the worker finds it in the record, once it goes on.
  const { records } = storeOf(redis)
  const { id } = asked.body.operation
  await until('the cancel to be noted', async () => (await records.operation(id))?.cancelRequested === '1')
  gate.open()
  const { status, body } = await waited
  expect([status, hasEnded(body.operation.status)]).toEqual([200, true])
  // A stream whose connection was broken has ended, and its client connects again.
  const told = (await events.text()) || (await (await listen()).text())
  expect(told).toContain('"status":"cancelled"')
  await fleet.stop()
})
