import { connect } from 'node:net'
import { fastifySSE } from '@fastify/sse'
import { fastify } from 'fastify'
import { test } from 'vitest'
import { redisKeys } from '#shared/redis/keys.ts'
import type { AppDeps } from '../../../../producer/http/app-deps.ts'
import { streamFleet } from '../../../../producer/http/events/stream-fleet.ts'
import { until } from '../../../support/until.ts'

/** A producer's stream of a fleet with many large records, and who listens to its changes. */
async function openStream() {
  let listeners = 0
  const feed = {
    latest: async () => 7,
    since: async () => undefined,
    subscribe() {
      listeners += 1
      return () => {
        listeners -= 1
      }
    },
  }
  const hosts = Array.from({ length: 500 }, (_, i) => ({ id: `host${i}`, labels: { note: 'x'.repeat(100_000) } }))
  const deps = {
    feed,
    hosts: { all: () => hosts },
    redis: { zrangebylex: async () => [] },
    keys: redisKeys('test'),
    recovery: { openFleet: () => 'fleet1', assertNotLost: async () => undefined },
  } as unknown as AppDeps
  const app = fastify()
  await app.register(fastifySSE, { heartbeatInterval: 0 })
  app.get('/', { sse: 'manual' } as object, (_request, reply) => streamFleet(deps, reply))
  const url = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  return { port: Number(url.port), listeners: () => listeners, close: () => app.close() }
}

test('a client that goes while all records are sent to it, faster than it reads, is heard no more', async () => {
  const stream = await openStream()
  const client = connect(stream.port, '127.0.0.1')
  client.write('GET / HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nLast-Event-ID: unknown\r\n\r\n')
  // Reads the beginning, and no more.
  await new Promise((resolve) => client.once('readable', resolve))
  await until('a listener', async () => stream.listeners() === 1)
  client.destroy()
  await until('no listener', async () => stream.listeners() === 0)
  await stream.close()
})
