import { appRoutes } from '@bull-board/api/dist/routes.js'
import { describe, expect } from 'vitest'
import { hintOf, ProvostError } from '#shared/errors.ts'
import { queueKinds } from '#shared/redis/queues.ts'
import { type Fleet, startFleet } from '../../support/fleets/fleet.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { hostReport, writeHost } from '../../support/hosts/write-host.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { test as withRedis } from '../../support/redis/redis-test.ts'
import { startTcpProxy } from '../../support/redis/tcp-proxy.ts'
import { until } from '../../support/until.ts'

const form = { 'content-type': 'application/x-www-form-urlencoded' }

/** A request as a browser would send it: without the header of programs. */
async function browse(fleet: Fleet, method: string, path: string, headers: Record<string, string> = {}, body?: string) {
  const response = await fetch(`${fleet.url}${path}`, { method, headers, redirect: 'manual', ...(body ? { body } : {}) })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

async function logIn(fleet: Fleet): Promise<string> {
  const { headers } = await browse(fleet, 'POST', '/login', form, `key=${fleet.apiKey}`)
  return headers.get('set-cookie')?.split(';')[0] ?? ''
}

async function queueNames(fleet: Fleet, query = ''): Promise<string[]> {
  return (await fleet.call('GET', `/queues/api/queues${query}`)).body.queues.map(({ name }: any) => name)
}

/** A provision that has failed, by a fault of its host that is mended since. */
async function failedProvision(fleet: Fleet, name: string): Promise<string> {
  fleet.host().before('ensureJail', () => {
    throw new ProvostError('command_failed', 'runc would not.')
  })
  const asked = await fleet.ask(name)
  expect(await fleet.ended(asked)).toMatchObject({ status: 'failed', attempt: 1 })
  fleet.host().clear('ensureJail')
  return asked.body.operation.id
}

describe('a login', () => {
  test('gives a session for the key, that is as good as the key', async ({ fleet }) => {
    const page = await browse(fleet, 'GET', '/login?to=/queues/queue/host1.build')
    expect(page.status).toBe(200)
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(page.text).toContain('value="/queues/queue/host1.build"')

    const answer = await browse(fleet, 'POST', '/login', form, `key=${fleet.apiKey}&to=%2Fqueues%2F`)
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/queues/'])
    const [session = '', ...facts] = answer.headers.get('set-cookie')?.split('; ') ?? []
    expect(session).toMatch(/^provost_session=\d+\.[\w-]{22}\.[\w-]{43}$/)
    expect(facts).toEqual(['Path=/', 'Max-Age=43200', 'HttpOnly', 'SameSite=Strict'])

    expect((await browse(fleet, 'GET', '/v1/jails', { cookie: `theme=dark; ${session}` })).status).toBe(200)
    expect((await browse(fleet, 'GET', '/queues', { cookie: session, accept: 'text/html' })).status).toBe(200)
    const asked = await browse(
      fleet,
      'POST',
      '/v1/jails',
      { cookie: session, 'content-type': 'application/json', origin: fleet.url },
      JSON.stringify({ name: 'web1', client: 'acme', world: 'tiny' }),
    )
    expect(asked.status).toBe(202)
    const { id } = JSON.parse(asked.text).operation
    const events = await browse(fleet, 'GET', `/v1/operations/${id}/events`, { cookie: session, accept: 'text/event-stream' })
    expect(events.text).toContain('"status":"succeeded"')
  })

  test('is possible with JSON, and is for HTTPS alone when it came by it', async ({ fleet }) => {
    const headers = { 'content-type': 'application/json', 'x-forwarded-proto': 'https' }
    const answer = await browse(fleet, 'POST', '/login', headers, JSON.stringify({ key: fleet.apiKey }))
    expect([answer.status, answer.text]).toEqual([204, ''])
    expect(answer.headers.get('set-cookie')).toMatch(/; SameSite=Strict; Secure$/)
  })

  test('with a wrong key gives no session and says so', async ({ fleet }) => {
    const page = await browse(fleet, 'POST', '/login', form, 'key=guess&to=/queues')
    expect([page.status, page.headers.get('set-cookie')]).toEqual([401, null])
    expect(page.text).toContain('This is not a key of this fleet.')
    const answer = await browse(fleet, 'POST', '/login', { 'content-type': 'application/json' }, '{"key": "guess"}')
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([401, 'unauthorized'])
  })

  test('goes on to no other site', async ({ fleet }) => {
    for (const to of ['//evil.example', '/\\evil.example', 'https://evil.example', 'queues', '/\t/evil.example', '/ä']) {
      const query = encodeURIComponent(to)
      expect([to, (await browse(fleet, 'GET', `/login?to=${query}`)).status]).toEqual([to, 400])
      expect([to, (await browse(fleet, 'POST', '/login', form, `key=${fleet.apiKey}&to=${query}`)).status]).toEqual([to, 400])
    }
    const { text } = await browse(fleet, 'GET', `/login?to=${encodeURIComponent('/"><script>')}`)
    expect(text).not.toContain('<script>')
  })

  test('is over after a logout', async ({ fleet }) => {
    const answer = await browse(fleet, 'GET', '/logout')
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/login'])
    expect(answer.headers.get('set-cookie')).toBe('provost_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict')
  })
})

describe('a session', () => {
  test('that nobody gave is refused', async ({ fleet }) => {
    const session = await logIn(fleet)
    const [, end, signature] = /=(\d+)\.(.*)$/.exec(session) ?? []
    for (const forged of [
      `${Number(end) + 1}.${signature}`,
      `${end}.${signature?.replace(/^./, (first) => (first === '-' ? '_' : '-'))}`,
      `${end}.`,
      '',
      'x'.repeat(5_000),
    ]) {
      const answer = await browse(fleet, 'GET', '/v1/jails', { cookie: `provost_session=${forged}` })
      expect([forged, answer.status, JSON.parse(answer.text).detail]).toEqual([forged, 401, 'The session has ended.'])
    }
  })

  test('lets no page of another site write', async ({ fleet }) => {
    const cookie = await logIn(fleet)
    const own = new URL(fleet.url).host
    const foreign = [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: fleet.url.replace(/\d+$/, '1') },
      { 'sec-fetch-site': 'cross-site', origin: fleet.url },
      { 'sec-fetch-site': 'same-site' },
    ]
    for (const headers of foreign)
      for (const [method, path] of [
        ['POST', '/v1/hosts/host1/drain'],
        ['DELETE', '/v1/jails/web1'],
        ['PUT', '/queues/api/queues/host1.build/retry/failed'],
      ] as const) {
        const answer = await browse(fleet, method, path, { cookie, ...headers })
        expect([headers, path, answer.status, JSON.parse(answer.text).code]).toEqual([headers, path, 403, 'forbidden'])
      }
    expect((await fleet.call('GET', '/v1/hosts/host1')).body.state).toBe('up')
    expect((await browse(fleet, 'GET', '/v1/jails', { cookie, origin: 'https://evil.example' })).status).toBe(200)
    for (const headers of [{ origin: `http://${own}` }, { 'sec-fetch-site': 'same-origin' }, {}])
      expect((await browse(fleet, 'POST', '/v1/hosts/host1/undrain', { cookie, ...headers } as never)).status).toBe(200)
    // The key itself is sent by nobody unasked.
    expect((await fleet.call('POST', '/v1/hosts/host1/undrain', undefined, { origin: 'https://evil.example' })).status).toBe(200)
  })
})

describe('the queue board', () => {
  test('sends a browser without a session to the login, and tells a program', async ({ fleet }) => {
    const page = await browse(fleet, 'GET', '/queues', { accept: 'text/html,*/*' })
    expect([page.status, page.headers.get('location')]).toEqual([302, '/login?to=/queues'])
    const deep = await browse(fleet, 'GET', '/queues/queue/host1.build?status=failed', { accept: 'text/html,*/*' })
    expect(deep.headers.get('location')).toBe('/login?to=/queues/queue/host1.build%3Fstatus%3Dfailed')
    for (const path of ['/queues', '/queues/api/queues', '/queues/static/js/main.js']) {
      const answer = await browse(fleet, 'GET', path)
      expect([path, answer.status, answer.headers.get('content-type')]).toEqual([path, 401, 'application/problem+json'])
    }
    for (const [method, path] of [
      ['PUT', '/queues/api/queues/pause'],
      ['PUT', '/queues/api/queues/host1.build/retry/failed'],
    ] as const)
      expect((await browse(fleet, method, path, { accept: 'text/html' })).status).toBe(401)
  })

  test('has the queues of the hosts as they come and go', async ({ fleet, redis }) => {
    const { redis: connection, keys } = storeOf(redis)
    expect(await queueNames(fleet)).toEqual([
      'host1.build',
      'host1.batch-build',
      'host1.start',
      'host1.batch-start',
      'host1.stop',
    ])
    await writeHost(connection, keys, hostReport('host2'))
    await until('queues of a new host', async () => (await queueNames(fleet)).includes('host2.stop'))
    await connection.srem(keys.hosts, 'host2')
    await until('its queues to go', async () => !(await queueNames(fleet)).includes('host2.stop'))
  })

  test('has of a large fleet the hosts where operations failed or are open, and any other that is asked for', async ({
    fleet,
    redis,
  }) => {
    const { redis: connection, keys } = storeOf(redis)
    const id = await failedProvision(fleet, 'web1')
    const names = Array.from({ length: 60 }, (_, i) => `a${String(i).padStart(2, '0')}`)
    for (const name of names) await writeHost(connection, keys, hostReport(name))
    await until('all hosts', async () => (await fleet.call('GET', '/v1/hosts?limit=500')).body.items.length === 61)

    const shown = await queueNames(fleet)
    expect(shown.length).toBe(50 * queueKinds.length)
    expect(shown).toContain('host1.build')
    expect(shown).not.toContain('a59.build')
    expect((await fleet.call('GET', `/queues/api/queues/host1.start/${id}-1-start`)).body.status).toBe('failed')
    expect((await fleet.call('GET', '/queues/api/queues/a59.build/default-job-options')).status).toBe(200)
    expect(await queueNames(fleet, '?activeQueue=a58.stop')).toContain('a58.stop')
    expect((await fleet.call('GET', '/queues/api/queues/b1.build/default-job-options')).status).toBe(404)
  })

  withRedis('works again once Redis is back, also when it was first looked at without', async ({ redis }) => {
    const proxy = await startTcpProxy('127.0.0.1', { host: '127.0.0.1', port: Number(new URL(redis.url).port) })
    const fleet = await startFleet({ ...redis, url: `redis://127.0.0.1:${proxy.port}` })
    const look = () => fleet.call('GET', '/queues/api/queues')
    proxy.drop()
    await until('the producer to be without Redis', async () => (await fleet.call('GET', '/v1/jails')).status === 503)
    const away = await look()
    expect([away.status, away.body.code]).toEqual([503, 'queue_unavailable'])
    proxy.pass()
    await until('the board to be back', async () => (await look()).status === 200)
    await fleet.stop()
    await proxy.close()
  })

  test('refuses every write that bull-board has but its retries', async ({ fleet }) => {
    const id = await failedProvision(fleet, 'web1')
    const values = { ':queueName': 'host1.build', ':jobId': `${id}-1-build`, ':queueStatus': 'failed', ':schedulerId': 'any' }
    const writes = appRoutes.api
      .flatMap(({ method, route }) => [method].flat().flatMap((verb) => [route].flat().map((path) => `${verb} ${path}`)))
      .filter((route) => !route.startsWith('get '))
    const retries = ['put /api/queues/:queueName/retry/:queueStatus', 'put /api/queues/:queueName/:jobId/retry']
    expect(writes).toEqual(expect.arrayContaining(retries))
    expect(writes.length).toBeGreaterThan(20)
    for (const route of writes.filter((write) => !retries.includes(write))) {
      const [method = '', path = ''] = route.split(' ')
      const url = Object.entries(values).reduce((url, [name, value]) => url.replace(name, value), path)
      const answer = await fleet.call(method.toUpperCase(), `/queues${url}`, {})
      expect([route, answer.status, answer.body.code]).toEqual([route, 403, 'forbidden'])
      expect([answer.body.error, answer.body.message]).toEqual([answer.body.detail, answer.body.hint])
    }
    const all = await fleet.call('PUT', '/queues/api/queues/host1.build/retry/completed')
    expect([all.status, all.body.code]).toEqual([403, 'forbidden'])
    const { body } = await fleet.call('GET', '/queues/api/queues')
    expect(body.queues.map(({ name, isPaused, counts }: any) => [name, isPaused, counts.failed])).toEqual([
      ['host1.build', false, 0],
      ['host1.batch-build', false, 0],
      ['host1.start', false, 1],
      ['host1.batch-start', false, 0],
      ['host1.stop', false, 0],
    ])
  })

  test('shows what a job is for, and what to do when it failed', async ({ fleet }) => {
    const id = await failedProvision(fleet, 'web1')
    const { body } = await fleet.call('GET', '/queues/api/queues?activeQueue=host1.start&status=failed')
    const [job] = body.queues.find(({ name }: any) => name === 'host1.start').jobs
    expect([job.id, job.name, job.stacktrace]).toEqual([
      `${id}-1-start`,
      'start web1 of acme on host1',
      [`command_failed: runc would not.\n\nWhat to do: ${hintOf('command_failed')}`],
    ])
    const shown = body.queues.map(({ name, readOnlyMode, allowRetries }: any) => [name, readOnlyMode, allowRetries])
    expect(shown.filter(([, readOnly]: any) => !readOnly)).toEqual([['host1.start', false, true]])
  })

  test('retries the operation of a failed job as HTTP does: its next attempt, by new jobs', async ({ fleet }) => {
    const id = await failedProvision(fleet, 'web1')
    const retry = `/queues/api/queues/host1.start/${id}-1-start/retry`
    const retried = await fleet.call('PUT', retry)
    expect([retried.status, retried.headers.get('location')]).toEqual([202, `/v1/operations/${id}`])
    expect(retried.body.operation).toMatchObject({ id, status: 'queued', attempt: 2 })
    expect(await fleet.ended(retried)).toMatchObject({ id, status: 'succeeded', attempt: 2 })
    expect(await fleet.jail('web1')).toMatchObject({ state: 'running', lastOperation: id })

    const state = async (job: string) => (await fleet.call('GET', `/queues/api/queues/host1.${job}`)).body?.status
    expect(await state(`start/${id}-1-start`)).toBe('failed')
    expect(await state(`start/${id}-2-start`)).toBe('completed')

    const again = await fleet.call('PUT', retry)
    expect([again.status, again.body.code]).toEqual([409, 'not_retryable'])
    expect(again.body.error).toBe(`Operation ${id} has succeeded; only a failed or a cancelled one can be retried.`)
    expect((await fleet.call('PUT', '/queues/api/queues/host1.start/none/retry')).status).toBe(404)
    expect((await fleet.call('PUT', '/queues/api/queues/none.start/none/retry')).status).toBe(404)
  })

  test('retries all failed operations of a queue, and none that was cancelled', async ({ fleet }) => {
    const failed = [await failedProvision(fleet, 'web1'), await failedProvision(fleet, 'web2')]
    await fleet.ended(await fleet.call('POST', `/v1/operations/${await failedProvision(fleet, 'web3')}/retry`))
    let reached: () => void = () => undefined
    const atWork = new Promise<void>((resolve) => {
      reached = resolve
    })
    fleet.host().before('ensureJail', (_jail, signal) => {
      reached()
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    })
    const cancelled = await fleet.ask('web4')
    await atWork
    await fleet.call('POST', `/v1/operations/${cancelled.body.operation.id}/cancel`)
    expect((await fleet.ended(cancelled)).status).toBe('cancelled')
    fleet.host().clear('ensureJail')

    const answer = await fleet.call('PUT', '/queues/api/queues/host1.start/retry/failed')
    expect([answer.status, answer.body]).toEqual([200, { retried: 2 }])
    for (const id of failed)
      expect(await fleet.ended({ ...answer, body: { operation: { id } } })).toMatchObject({ status: 'succeeded', attempt: 2 })
    expect(await fleet.operation(cancelled.body.operation.id)).toMatchObject({ status: 'cancelled', attempt: 1 })
    const again = await fleet.call('PUT', '/queues/api/queues/host1.start/retry/failed')
    expect([again.status, again.body.code]).toEqual([409, 'not_retryable'])
  })

  test('asks nothing of another site', async ({ fleet }) => {
    const page = await fleet.call('GET', '/queues')
    expect(page.text).toContain('<base href="/queues/"')
    expect(page.text).not.toMatch(/(?:href|src)="(?:https?:)?\/\//)
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'self';/)
  })
})
