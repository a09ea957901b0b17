import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect } from 'vitest'
import { apiKey } from '../../support/fleets/client.ts'
import { test } from '../../support/fleets/fleet-test.ts'

async function open(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  socket.on('error', () => undefined)
  return socket
}

const ask = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

describe('a client without a key', () => {
  test('that asks for much and reads nothing keeps the producer from nobody, and its connection is closed', async ({ fleet }) => {
    const sockets = await Promise.all(Array.from({ length: 20 }, () => open(fleet.url)))
    const closed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    for (const socket of sockets) {
      socket.pause()
      socket.write(ask('/openapi.json').repeat(200))
    }
    const started = performance.now()
    expect((await fetch(`${fleet.url}/healthz`)).status).toBe(200)
    expect(performance.now() - started).toBeLessThan(2_000)
    for (const socket of sockets) socket.resume()
    await Promise.all(closed)
  })

  test('is answered in its order as long as it waits for no more than a few', async ({ fleet }) => {
    const socket = await open(fleet.url)
    socket.write(ask('/healthz').repeat(10))
    let text = ''
    for await (const piece of socket) {
      text += piece
      if (text.split('HTTP/1.1 200').length === 11) break
    }
    expect(text.split('HTTP/1.1 200')).toHaveLength(11)
  })

  test('is let in to try a key some thirty times a minute', async ({ fleet }) => {
    const logIn = () =>
      fetch(`${fleet.url}/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ key: 'wrong' }),
      })
    const answers: Response[] = []
    for (let i = 0; i < 31; i += 1) answers.push(await logIn())
    expect(answers.slice(0, 30).every(({ status }) => status === 401)).toBe(true)
    const last = answers[30] as Response
    expect([last.status, ((await last.json()) as { code: string }).code]).toEqual([429, 'rate_limited'])
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0)
  })
})

describe('a session', () => {
  test('ends at its logout for whoever has its cookie', async ({ fleet }) => {
    const login = await fetch(`${fleet.url}/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ key: apiKey }),
    })
    const cookie = login.headers.get('set-cookie')?.split(';')[0] ?? ''
    const list = () => fetch(`${fleet.url}/v1/jails`, { headers: { cookie } })
    expect((await list()).status).toBe(200)
    await fetch(`${fleet.url}/logout`, { headers: { cookie }, redirect: 'manual' })
    const refused = await list()
    expect([refused.status, ((await refused.json()) as { detail: string }).detail]).toEqual([401, 'The session has ended.'])
  })
})

test('an answer says to a browser what may be done with it', async ({ fleet }) => {
  const { headers } = await fetch(`${fleet.url}/v1/jails`, { headers: { authorization: `Bearer ${apiKey}` } })
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('content-security-policy')).toBe("default-src 'none';frame-ancestors 'none'")
  expect(headers.get('strict-transport-security')).toBe(null)
})
