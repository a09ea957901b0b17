import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { Operation } from '#shared/operation.ts'
import { httpClient } from '../../../cli/http/client.ts'
import { followOperation } from '../../../cli/http/follow-operation.ts'
import { makeOperation } from '../../support/samples/operation.ts'

const half = makeOperation({ percent: 45 })
const done = makeOperation({ status: 'succeeded', percent: 100, finishedAt: '2026-01-01T00:00:06.000Z' })
const event = (id: number | string, operation: Operation) => `id: ${id}\nevent: operation\ndata: ${JSON.stringify(operation)}\n\n`

let close: () => void = () => {}
afterEach(() => close())

async function serve(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  close = () => {
    server.closeAllConnections()
    server.close()
  }
  return httpClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, key: 'k' })
}

async function follow(client: ReturnType<typeof httpClient>, giveUpAfterMs = 5_000) {
  const seen: number[] = []
  for await (const { percent } of followOperation(client, half.id, { pauseMs: 1, giveUpAfterMs })) seen.push(percent)
  return seen
}

test('ends with the event of the ended operation', async () => {
  const client = await serve((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(`: hello\n\n${event(1, half)}`)
    response.write(event(2, done))
  })
  expect(await follow(client)).toEqual([45, 100])
})

test('goes on after the last event when the connection breaks', async () => {
  const asked: (string | undefined)[] = []
  const client = await serve((request, response) => {
    asked.push(request.headers['last-event-id'] as string | undefined)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    if (asked.length === 1) {
      response.write(event('0199-c-7', half), () => response.destroy())
      return
    }
    response.end(event(9, done))
  })
  expect(await follow(client)).toEqual([45, 100])
  expect(asked).toEqual([undefined, '0199-c-7'])
})

test('reads the operation when nothing comes after the last event', async () => {
  let asked = 0
  const client = await serve((request, response) => {
    if (!request.url?.endsWith('/events')) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(done))
      return
    }
    asked += 1
    if (asked === 1) response.writeHead(200, { 'content-type': 'text/event-stream' }).end(event(9, half))
    else response.writeHead(204).end()
  })
  expect(await follow(client)).toEqual([45, 100])
})

test('gives up on a producer that stays away', async () => {
  const client = await serve((_, response) => response.writeHead(503).end('away'))
  await expect(follow(client, 50)).rejects.toThrow('The server answered 503')
})

test('gives up at once on an operation that does not exist', async () => {
  const problem = { code: 'not_found', detail: 'There is no such operation.', hint: 'Check the name.' }
  const client = await serve((_, response) => response.writeHead(404).end(JSON.stringify(problem)))
  await expect(follow(client)).rejects.toMatchObject({ status: 404, problem })
})
