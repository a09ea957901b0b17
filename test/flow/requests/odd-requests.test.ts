import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect } from 'vitest'
import { test } from '../../support/fleets/fleet-test.ts'

describe('an odd request', () => {
  test('is refused as a problem, whatever is odd about it', async ({ fleet }) => {
    for (const [method, path, body, headers, status, code] of [
      ['GET', '/v1/jails/%zz', undefined, {}, 400, 'invalid_request'],
      ['GET', '/v1/jails/%ff%fe', undefined, {}, 400, 'invalid_request'],
      ['GET', `/v1/jails/${'a'.repeat(3_000)}`, undefined, {}, 404, 'not_found'],
      ['GET', `/v1/jails?client=${'a'.repeat(20_000)}`, undefined, {}, 413, 'too_large'],
      ['GET', '/v1/jails/web1?verbose=1', undefined, {}, 400, 'invalid_request'],
      ['GET', '/v1/operations?colour=1', undefined, {}, 400, 'invalid_request'],
      ['POST', '/v1/jails?dryRun=yes', { name: 'web1', client: 'acme', world: 'tiny' }, {}, 400, 'invalid_request'],
      ['POST', '/v1/jails', 'name=web1', { 'content-type': 'application/x-www-form-urlencoded' }, 400, 'invalid_request'],
      ['POST', '/v1/jails', '{}', { 'content-type': ';;' }, 400, 'invalid_request'],
      ['POST', '/v1/jails', '{', {}, 400, 'invalid_request'],
      ['POST', '/v1/jails', '['.repeat(500_000) + ']'.repeat(500_000), {}, 400, 'invalid_request'],
      ['POST', '/v1/jails', '{"__proto__":{},"name":"web1","client":"acme","world":"tiny"}', {}, 400, 'invalid_request'],
      ['DELETE', '/v1/jails/web1', { force: true }, {}, 400, 'invalid_request'],
      ['POST', '/v1/hosts/host1/drain', { now: true }, {}, 400, 'invalid_request'],
    ] as const) {
      const answer = await fleet.call(method, path, body, headers)
      const type = answer.headers.get('content-type')
      expect([path.slice(0, 40), body, answer.status, answer.body?.code, type]).toEqual([
        path.slice(0, 40),
        body,
        status,
        code,
        'application/problem+json',
      ])
    }
    expect((await fleet.call('GET', '/v1/jails')).body.items).toEqual([])
    expect((await fleet.call('GET', '/v1/hosts/host1')).body.state).toBe('up')
  })

  test('that is no HTTP is answered as one', async ({ fleet }) => {
    const socket = connect(Number(new URL(fleet.url).port), '127.0.0.1')
    await once(socket, 'connect')
    socket.write('GET /v1/jails HTTP/1.1\r\nno header\r\n\r\n')
    const answer = await text(socket)
    expect(answer).toContain('HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\n')
    expect(answer).toContain('"code":"invalid_request"')
  })

  test('without a body is taken as such, whatever kind it says the body is', async ({ fleet }) => {
    await fleet.ended(await fleet.ask('web1'))
    for (const type of ['application/json', 'application/x-www-form-urlencoded', 'text/plain'])
      expect([type, (await fleet.call('POST', '/v1/jails/web1/start', '', { 'content-type': type })).status]).toEqual([type, 202])
  })

  test('for events is answered with them whatever it accepts, and not at all for their headers alone', async ({ fleet }) => {
    const abort = new AbortController()
    const headers = { authorization: `Bearer ${fleet.apiKey}`, accept: 'application/json' }
    const events = await fetch(`${fleet.url}/v1/events`, { headers, signal: abort.signal })
    expect([events.status, events.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
    abort.abort()
    expect((await fetch(`${fleet.url}/v1/events`, { method: 'HEAD', headers })).status).toBe(404)
  })
})
