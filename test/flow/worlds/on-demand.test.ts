import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect } from 'vitest'
import { standardTiming } from '#shared/process/timing.ts'
import { startFleet } from '../../support/fleets/fleet.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

const nobody = 'a'.repeat(64)

/** A mirror that counts what it is asked and answers only once it is let. */
async function slowMirror() {
  let asked = 0
  const { promise: open, resolve } = Promise.withResolvers<void>()
  const server = createServer(async (_request, response) => {
    asked += 1
    await open
    response.end('this is no archive')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/base.tar`, asked: () => asked, open: resolve, close: () => server.close() }
}

describe('jails of a world that is not there yet', () => {
  test('wait for one fill, hold no build slot meanwhile, and all hear how it ended', async ({ redis }) => {
    const mirror = await slowMirror()
    const fleet = await startFleet(redis, {
      worlds: [{ name: 'remote', method: 'archive', url: mirror.url, sha256: nobody, prefill: false }],
    })
    const waiting = await Promise.all(Array.from({ length: 10 }, (_, i) => fleet.ask(`slow${i}`, { world: 'remote' })))
    for (const { body } of waiting)
      await until('each to say what it waits for', async () => {
        const { waiting: why, step, status } = await fleet.operation(body.operation.id)
        return why?.reason === 'fill of world remote' && step === 'fill-world' && status === 'running'
      })
    // Two build slots, ten that wait: a jail of a ready world passes them all.
    expect((await fleet.ended(await fleet.ask('quick'))).status).toBe('succeeded')

    mirror.open()
    const ended = await Promise.all(waiting.map((answer) => fleet.ended(answer)))
    expect(new Set(ended.map(({ status, error }) => `${status} ${error?.code} ${error?.step}`))).toEqual(
      new Set(['failed checksum_mismatch fill-world']),
    )
    expect(mirror.asked()).toBe(1)
    await until('the world to be shown as failed', async () => {
      const { items } = (await fleet.call('GET', '/v1/worlds')).body
      const states = Object.fromEntries(items.map(({ name, hosts }: any) => [name, hosts[0].state]))
      return states.remote === 'failed' && states.tiny === 'ready'
    })
    mirror.close()
    await fleet.stop()
  })

  test('ask for it again from time to time, should its end not wake them', async ({ redis }) => {
    const mirror = await slowMirror()
    const fleet = await startFleet(redis, {
      worlds: [{ name: 'remote', method: 'archive', url: mirror.url, sha256: nobody, prefill: false }],
      timing: { ...standardTiming, asleep: 100 },
    })
    const asked = await fleet.ask('slow', { world: 'remote' })
    const { redis: connection, keys } = storeOf(redis)
    const job = `${keys.host('host1')}:host1.build:${asked.body.operation.id}-1-build`
    await until('it to be asked for again', async () => Number(await connection.hget(job, 'ats')) > 2)
    expect(mirror.asked()).toBe(1)
    mirror.open()
    expect((await fleet.ended(asked)).error?.code).toBe('checksum_mismatch')
    mirror.close()
    await fleet.stop()
  })

  test('can be cancelled while they wait', async ({ redis }) => {
    const mirror = await slowMirror()
    const fleet = await startFleet(redis, {
      worlds: [{ name: 'remote', method: 'archive', url: mirror.url, sha256: nobody, prefill: false }],
    })
    const asked = await fleet.ask('slow', { world: 'remote' })
    await until('it to wait for the fill', async () => {
      const { status, waiting } = await fleet.operation(asked.body.operation.id)
      return status === 'running' && waiting
    })
    await fleet.call('POST', `/v1/operations/${asked.body.operation.id}/cancel`)
    const cancelled = await fleet.ended(asked)
    expect(cancelled.status).toBe('cancelled')
    expect(cancelled.steps[0]).toMatchObject({ name: 'fill-world', status: 'undone', finishedAt: expect.any(String) })
    mirror.open()
    mirror.close()
    await fleet.stop()
  })
})
