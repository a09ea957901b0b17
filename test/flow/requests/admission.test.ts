import { describe, expect } from 'vitest'
import { startFleet } from '../../support/fleets/fleet.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { type TestRedis, test as withRedis } from '../../support/redis/redis-test.ts'
import { until } from '../../support/until.ts'

describe('a request with an Idempotency-Key', () => {
  test('is done once, and answered alike when it comes again, also while it runs', async ({ fleet }) => {
    const headers = { 'idempotency-key': 'order-17' }
    const first = await fleet.ask('web1', {}, headers)
    const second = await fleet.ask('web1', {}, headers)
    expect([first.status, second.status]).toEqual([202, 202])
    expect(second.body.operation.id).toBe(first.body.operation.id)
    expect([first.headers.get('idempotency-replayed'), second.headers.get('idempotency-replayed')]).toEqual([null, 'true'])
    await fleet.ended(first)
    const third = await fleet.ask('web1', {}, { ...headers, prefer: 'wait=10' })
    expect([third.status, third.body.operation.status, third.headers.get('idempotency-replayed')]).toEqual([
      200,
      'succeeded',
      'true',
    ])
  })

  test('is refused when the key stood for another request, whatever differs', async ({ fleet }) => {
    const headers = { 'idempotency-key': 'order-17' }
    await fleet.ended(await fleet.ask('web1', {}, headers))
    const others = [
      await fleet.ask('web1', { hostname: 'other' }, headers),
      await fleet.ask('web2', {}, headers),
      await fleet.call('POST', '/v1/jails/web1/stop', undefined, headers),
      await fleet.call('DELETE', '/v1/jails/web1', undefined, headers),
    ]
    expect(others.map(({ status, body }) => [status, body.code])).toEqual(Array(4).fill([422, 'idempotency_key_reused']))
    expect((await fleet.jail('web1'))?.state).toBe('running')
  })

  test('makes one jail however many come at once', async ({ fleet }) => {
    const headers = { 'idempotency-key': 'order-18' }
    const answers = await Promise.all(Array.from({ length: 20 }, () => fleet.ask('web1', {}, headers)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]))
    expect(new Set(answers.map(({ body }) => body.operation.id)).size).toBe(1)
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(19)
    await fleet.ended(answers[0] as never)
    expect((await fleet.call('GET', '/v1/operations')).body.items).toHaveLength(1)
  })

  test('may be sent again once it was refused', async ({ fleet }) => {
    const headers = { 'idempotency-key': 'order-19' }
    expect((await fleet.ask('web1', { world: 'nowhere' }, headers)).status).toBe(422)
    expect((await fleet.ask('web1', {}, headers)).status).toBe(202)
  })

  test('counts for every verb', async ({ fleet }) => {
    await fleet.ended(await fleet.ask('web1'))
    const headers = { 'idempotency-key': 'stop-1' }
    const first = await fleet.call('POST', '/v1/jails/web1/stop', undefined, headers)
    const second = await fleet.call('POST', '/v1/jails/web1/stop', undefined, headers)
    expect([second.status, second.body.operation.id]).toEqual([202, first.body.operation.id])
    await fleet.ended(first)
    const destroy = { 'idempotency-key': 'destroy-1' }
    const gone = await fleet.call('DELETE', '/v1/jails/web1', undefined, destroy)
    await fleet.ended(gone)
    const again = await fleet.call('DELETE', '/v1/jails/web1', undefined, destroy)
    expect([again.status, again.body.operation.id, again.body.jail]).toEqual([202, gone.body.operation.id, null])
  })
})

describe('addresses', () => {
  withRedis('of a pool are given out once each, and all come back', { timeout: 60_000 }, async ({ redis }) => {
    // Sixty-four are free: 10.98.0.2 to 10.98.0.65.
    const fleet = await startFleet(redis, {
      pools: [{ name: 'small', cidr: '10.98.0.0/24', gateway: '10.98.0.1', exclude: ['10.98.0.66-10.98.0.254'] }],
      capacity: { builds: 8, starts: 8 },
    })
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => fleet.ask(`web${i}`)))
    const accepted = answers.filter(({ status }) => status === 202)
    const refused = answers.filter(({ status }) => status !== 202)
    expect(accepted).toHaveLength(64)
    expect(new Set(refused.map(({ status, body }) => `${status} ${body.code}`))).toEqual(new Set(['409 no_free_address']))
    const operations = await Promise.all(accepted.map((answer) => fleet.ended(answer)))
    expect(new Set(operations.map(({ status }) => status))).toEqual(new Set(['succeeded']))
    const wanted = Array.from({ length: 64 }, (_, i) => `10.98.0.${i + 2}/24`).sort()
    expect(accepted.flatMap(({ body }) => body.jail.addresses).sort()).toEqual(wanted)
    expect(fleet.host().addresses().sort()).toEqual(wanted)

    await Promise.all(accepted.map(async ({ body }) => fleet.ended(await fleet.call('DELETE', `/v1/jails/${body.jail.name}`))))
    const { redis: connection } = storeOf(redis)
    expect(await connection.hgetall(`${redis.prefix}:leases`)).toEqual({})
    expect(await connection.hgetall(`${redis.prefix}:promised:host1`)).toEqual({ jails: '0', memory: '0', cpu: '0' })
    const again = await Promise.all(Array.from({ length: 64 }, (_, i) => fleet.ask(`again${i}`)))
    expect(again.flatMap(({ body }) => body.jail?.addresses ?? []).sort()).toEqual(wanted)
    await fleet.stop()
  })

  withRedis('come from each family that the pools have, IPv4 first', async ({ redis }) => {
    const fleet = await startFleet(redis, {
      pools: [
        { name: 'six', cidr: 'fd00:1:2:3::/64', gateway: 'fd00:1:2:3::1', exclude: [] },
        { name: 'four', cidr: '10.97.0.0/16', exclude: ['10.97.0.0/24'] },
      ],
    })
    const asked = await fleet.ask('web1')
    expect(asked.body.jail.addresses).toEqual(['10.97.1.0/16', 'fd00:1:2:3::2/64'])
    const pinned = await fleet.ask('web2', { addresses: ['FD00:1:2:3:0::AbCd', '10.97.9.9/16'] })
    expect(pinned.body.jail.addresses).toEqual(['fd00:1:2:3::abcd/64', '10.97.9.9/16'])
    for (const [addresses, code] of [
      [['10.97.9.9'], 'address_taken'],
      [['10.97.9.8', '10.97.9.8'], 'address_taken'],
      [['10.97.0.7'], 'address_not_in_pool'],
      [['fd00:1:2:3::1'], 'address_not_in_pool'],
      [['10.97.9.10/24'], 'address_not_in_pool'],
      [['192.0.2.1'], 'address_not_in_pool'],
    ] as const)
      expect([addresses, (await fleet.ask('web3', { addresses })).body.code]).toEqual([addresses, code])
    await fleet.stop()
  })
})

describe('a refused request', () => {
  test('names each field at fault, and leaves no trace', { timeout: 60_000 }, async ({ fleet, redis }) => {
    const wrong: [field: string, change: object][] = [
      ['name', { name: 'Web1' }],
      ['name', { name: '1web' }],
      ['name', { name: 'a'.repeat(31) }],
      ['name', { name: undefined }],
      ['client', { client: 'A c' }],
      ['client', { client: undefined }],
      ['world', { world: '../etc' }],
      ['hostname', { hostname: 'a_b' }],
      ['hostname', { hostname: `${'a'.repeat(60)}.example` }],
      ['host', { host: 'HOST' }],
      ['addresses.0', { addresses: ['10.0.0.256'] }],
      ['addresses', { addresses: [] }],
      ['addresses', { addresses: '10.0.0.1' }],
      ['limits.memory', { limits: { memory: '1T' } }],
      ['limits.memory', { limits: { memory: -1 } }],
      ['limits.cpu', { limits: { cpu: 0 } }],
      ['limits.cpu', { limits: { cpu: '1' } }],
      ['limits.processes', { limits: { processes: 1.5 } }],
      ['limits.disk', { limits: { disk: 'big' } }],
      ['limits.swap', { limits: { swap: '1G' } }],
      ['command', { command: '/bin/sh' }],
      ['command', { command: [] }],
      ['command.1', { command: ['/bin/echo', 'a\nb'] }],
      ['command.1', { command: ['/bin/echo', 'a\0b'] }],
      ['command.1', { command: ['/bin/echo', 'x'.repeat(4_097)] }],
      ['command', { command: ['', 'a'] }],
      ['labels.Tier', { labels: { Tier: 'x' } }],
      ['labels.tier', { labels: { tier: 1 } }],
      ['healthCheck', { healthCheck: {} }],
    ]
    const before = await snapshot(redis)
    for (const [field, change] of wrong) {
      const { status, body } = await fleet.ask('web1', change)
      expect([change, status, body.code, body.errors?.map((error: { field: string }) => error.field)]).toEqual([
        change,
        400,
        'invalid_request',
        [field],
      ])
    }
    for (const body of ['{', '[]', '"x"', 'null', ''])
      expect([body, (await fleet.call('POST', '/v1/jails', body)).status]).toEqual([body, 400])
    expect((await fleet.call('POST', '/v1/jails', `{"name": "${' '.repeat(1_100_000)}"}`)).body.code).toBe('too_large')
    for (const [code, change] of [
      ['unknown_world', { world: 'nowhere' }],
      ['unknown_host', { host: 'nowhere' }],
      ['unsupported_limit', { limits: { disk: '1G' } }],
      ['no_capacity', { limits: { memory: '9000G' } }],
      ['address_not_in_pool', { addresses: ['192.0.2.1'] }],
    ] as const)
      expect((await fleet.ask('web1', change)).body.code).toBe(code)
    expect((await fleet.ask('web1', {}, { 'idempotency-key': 'x'.repeat(256) })).body.code).toBe('invalid_request')
    expect(await snapshot(redis)).toEqual(before)
  })

  test('without the key of the fleet is 401, save where anyone may look', async ({ fleet }) => {
    const bare = (path: string, headers = {}) => fetch(`${fleet.url}${path}`, { headers })
    for (const path of ['/v1/jails', '/v1/operations', '/v1/hosts', '/v1/worlds', '/v1/events'])
      expect([path, (await bare(path)).status]).toEqual([path, 401])
    expect((await bare('/v1/jails', { authorization: 'Bearer wrong' })).status).toBe(401)
    for (const path of ['/healthz', '/readyz', '/openapi.json', '/docs/'])
      expect([path, (await bare(path)).status]).toEqual([path, 200])
  })

  withRedis('says for each host why, when they differ', async ({ redis }) => {
    const fleet = await startFleet(redis, { hosts: ['host1', 'host2'] })
    await fleet.call('POST', '/v1/hosts/host2/drain')
    const small = await fleet.ask('web1', { host: 'host1', limits: { memory: '1G', cpu: 999.9 } })
    expect((await fleet.ask('web2', { host: 'host1', limits: { cpu: 0.5 } })).body.detail).toBe(
      'No host can take the jail: host host1 has 0.1 cores of cpu left to promise, and the jail needs 0.5 cores.',
    )
    await fleet.ended(small)
    const refused = await fleet.ask('web2', { limits: { memory: '1024G' } })
    expect(refused.body.detail).toContain('host host1 has 1023G of memory left to promise, and the jail needs 1T')
    await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))
    const tooLarge = await fleet.ask('web1', { limits: { memory: '9000G' } })
    expect([tooLarge.status, tooLarge.body.code]).toEqual([409, 'no_suitable_host'])
    expect(tooLarge.body.detail).toContain(
      'host host1 is too small: it has 1T of memory in all, and the jail needs 8.8T; host host2 is draining',
    )
    expect((await fleet.ask('web1', { host: 'host2' })).body.code).toBe('no_suitable_host')
    await fleet.call('POST', '/v1/hosts/host2/undrain')
    expect((await fleet.ask('web1', { host: 'host2' })).body.jail.host).toBe('host2')
    await fleet.stop()
  })
})

describe('what was promised', () => {
  withRedis('counts at once: jails asked for together are spread', async ({ redis }) => {
    const fleet = await startFleet(redis, { hosts: ['host1', 'host2'] })
    const asked = await Promise.all(Array.from({ length: 6 }, (_, i) => fleet.ask(`web${i}`)))
    const hosts: string[] = asked.map(({ body }) => body.jail.host)
    expect(hosts.filter((host) => host === 'host1')).toHaveLength(3)
    await fleet.stop()
  })

  withRedis('is never more than a host has, however many ask at once', async ({ redis }) => {
    const fleet = await startFleet(redis, { hosts: ['host1', 'host2'], capacity: { jails: 5 } })
    const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => fleet.ask(`web${i}`)))
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(10)
    expect(new Set(answers.filter(({ status }) => status !== 202).map(({ body }) => body.code))).toEqual(new Set(['no_capacity']))
    const promised = await until('both ledgers to be read', async () => {
      const { items } = (await fleet.call('GET', '/v1/hosts')).body
      const jails = items.map((host: any) => host.promised.jails)
      return jails[0] + jails[1] === 10 && jails
    })
    expect(promised).toEqual([5, 5])
    await fleet.stop()
  })
})

/** Every key of the fleet and what is in it, but for what hosts write anew all the time. */
async function snapshot(at: TestRedis): Promise<Record<string, unknown>> {
  const { redis: connection } = storeOf(at)
  const contents: Record<string, unknown> = {}
  for (const key of (await connection.keys(`${at.prefix}:*`)).sort()) {
    if (/:host:|:events|:reports|:epoch/.test(key)) continue
    const type = await connection.type(key)
    if (type === 'hash') contents[key] = await connection.hgetall(key)
    else if (type === 'zset') contents[key] = await connection.zrange(key, '0', '-1')
    else if (type === 'set') contents[key] = (await connection.smembers(key)).sort()
    else contents[key] = type
  }
  return contents
}
