import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { startFleet } from '../../support/fleets/fleet.ts'
import { test } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

test('a world is filled on demand by an operation of its own, which has no jail', async ({ redis }) => {
  const path = await mkdtemp(join(tmpdir(), 'provost-world-'))
  await mkdir(join(path, 'etc'))
  const fleet = await startFleet(redis, { worlds: [{ name: 'later', method: 'tree', path, prefill: false }] })
  const asked = await fleet.call('POST', '/v1/hosts/host1/worlds/later/fill', undefined, { 'idempotency-key': 'fill-1' })
  expect(asked).toMatchObject({ status: 202, body: { operation: { kind: 'fill', jail: null, world: 'later', host: 'host1' } } })
  const operation = await fleet.ended(asked)
  expect(operation).toMatchObject({ status: 'succeeded', percent: 100, steps: [{ name: 'fill-world', status: 'succeeded' }] })
  await until('the world to be shown as ready', async () => {
    const { items } = (await fleet.call('GET', '/v1/worlds')).body
    return items.find(({ name }: { name: string }) => name === 'later').hosts[0].state === 'ready'
  })
  const again = await fleet.call('POST', '/v1/hosts/host1/worlds/later/fill', undefined, { 'idempotency-key': 'fill-1' })
  expect(again.headers.get('idempotency-replayed')).toBe('true')
  expect(again.body.operation.id).toBe(operation.id)
  expect(await fleet.ended(await fleet.call('POST', '/v1/hosts/host1/worlds/later/fill'))).toMatchObject({ status: 'succeeded' })
  await fleet.stop()
  await rm(path, { recursive: true })
})

test('a fill of a world that a host does not offer is refused', async ({ redis }) => {
  const fleet = await startFleet(redis)
  const unknown = await fleet.call('POST', '/v1/hosts/host1/worlds/moon/fill')
  expect(unknown).toMatchObject({ status: 422, body: { code: 'unknown_world' } })
  expect(await fleet.call('POST', '/v1/hosts/host9/worlds/tiny/fill')).toMatchObject({ status: 404 })
  await fleet.stop()
})
