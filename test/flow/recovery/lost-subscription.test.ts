import { expect } from 'vitest'
import { hasEnded } from '#shared/operation.ts'
import { scaledTiming } from '#shared/process/timing.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { makeGate } from '../../support/gate.ts'
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
  const events = fleet.send(`/v1/operations/${asked.body.operation.id}/events`)
  const waited = fleet.call('DELETE', '/v1/jails/web1', undefined, { prefer: 'wait=20' })
  await proxy.swap()
  gate.open()
  const { status, body } = await waited
  expect([status, hasEnded(body.operation.status)]).toEqual([200, true])
  expect(await (await events).text()).toContain('"status":"cancelled"')
  await fleet.stop()
})
