import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { awaitRedis } from '../../../../cli/dev/processes/start-redis.ts'
import { freePort } from '../../../support/free-port.ts'

test('a Redis that takes connections and never answers is not waited for without end', async () => {
  const sockets: Socket[] = []
  const server = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`
  await expect(awaitRedis(url, [], 300)).rejects.toThrow(`Redis on ${url} did not answer within 0.3 s.`)
  for (const socket of sockets) socket.destroy()
  server.close()
})

test('nor is one that is not there', async () => {
  const url = `redis://127.0.0.1:${await freePort()}`
  await expect(awaitRedis(url, [], 300)).rejects.toThrow('did not answer within 0.3 s')
})
