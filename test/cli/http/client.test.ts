import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { httpClient } from '../../../cli/http/client.ts'
import { makeOperation } from '../../support/samples/operation.ts'

const mebibyte = 1024 ** 2

test('sends a large body without keeping it in memory', async () => {
  const server = createServer(async (request, response) => {
    let bytes = 0
    for await (const chunk of request) bytes += chunk.length
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ bytes }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = httpClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, key: 'a-key' })
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  function* body() {
    for (let sent = 0; sent < 384; sent += 1) {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
      yield Buffer.alloc(mebibyte)
    }
  }
  const open = () => Readable.from(body(), { objectMode: false })
  const { body: answer } = await client.upload({ path: '/', type: 'text/csv', open, isRepeatable: true, idempotencyKey: 'a' })
  server.close()
  expect(answer).toEqual({ bytes: 384 * mebibyte })
  expect(most).toBeLessThan(256 * mebibyte)
})

test('says once that an answer is late, but not of a request that waits by itself', async () => {
  const server = createServer(async (request, response) => {
    await sleep(request.headers.prefer ? 2_500 : 2_000)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ operation: makeOperation({ status: 'succeeded', finishedAt: '2026-01-01T00:00:06.000Z' }) }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const told: string[] = []
  const client = httpClient({ url, key: 'a-key' }, (line) => void told.push(line))
  await Promise.all([client.get('/'), client.sendAndWait({ method: 'POST', path: '/' })])
  server.close()
  expect(told).toEqual([`${url} has not answered yet.`])
})

test('asks again after faults of the connection as after the first one, though it has waited for a 503 before', async () => {
  const asked: number[] = []
  const server = createServer((request, response) => {
    asked.push(performance.now())
    if (asked.length <= 4) return void response.writeHead(503, { 'retry-after': '1' }).end('{}')
    if (asked.length <= 6) return void request.socket.destroy()
    response.setHeader('content-type', 'application/json')
    response.end('{"done":true}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const { body } = await httpClient({ url: `http://127.0.0.1:${port}`, key: 'a-key' }).get('/')
  server.close()
  expect(body).toEqual({ done: true })
  expect((asked[5] ?? 0) - (asked[4] ?? 0)).toBeLessThan(1_000)
})
