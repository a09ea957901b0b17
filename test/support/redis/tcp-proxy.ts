import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export type TcpProxy = Awaited<ReturnType<typeof startTcpProxy>>

type Pair = [fromClient: Socket, toServer: Socket]

/** What a client of Redis has said first: the protocol in which it is answered. */
const hello = 'HELLO 3\r\n'

/**
 * A way to a TCP server that can be interrupted as networks are. `pass` forwards; `silence` accepts and keeps all
 * connections but forwards nothing, so that neither side learns of it: what was sent meanwhile arrives when it passes
 * again; `loseAnswers` forwards to the server, but keeps what it answers: a `drop` after it loses that; `drop` ends all
 * connections and takes no new ones; `swap` gives each connection another one to the server, of which the client learns nothing
 * unless it waits for an answer: then it is ended.
 */
export async function startTcpProxy(host: string, target: { host: string; port: number }) {
  const pairs = new Set<Pair>()
  /** The clients that wait for an answer. */
  const waiting = new Set<Socket>()
  const toTarget = () => connect({ ...target, allowHalfOpen: true, noDelay: true })
  let mode: 'pass' | 'silent' | 'deaf' | 'dropped' = 'pass'

  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    if (mode === 'dropped') return void client.resetAndDestroy()
    client.setNoDelay(true)
    const upstream = toTarget()
    join([client, upstream])
    if (mode !== 'silent') client.resume()
    if (mode !== 'pass') upstream.pause()
  }).listen(0, host)
  await once(server, 'listening')

  function join(pair: Pair): void {
    const [client, upstream] = pair
    pairs.add(pair)
    forward(client, upstream)
    forward(upstream, client)
    client.on('data', () => waiting.add(client))
    upstream.on('data', () => waiting.delete(client))
    for (const socket of pair) {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        pairs.delete(pair)
        waiting.delete(client)
        for (const each of pair) each.destroy()
      })
    }
  }

  function forward(from: Socket, to: Socket): void {
    from.on('data', (chunk) => {
      if (!to.write(chunk)) from.pause()
    })
    to.on('drain', () => {
      const isClient = [...pairs].some(([client]) => client === from)
      if (mode === 'pass' || (mode === 'deaf' && isClient)) from.resume()
    })
    from.on('end', () => to.end())
  }

  const sockets = () => [...pairs].flat()

  return {
    port: (server.address() as AddressInfo).port,
    pass(): void {
      mode = 'pass'
      for (const socket of sockets()) socket.resume()
    },
    silence(): void {
      mode = 'silent'
      for (const socket of sockets()) socket.pause()
    },
    loseAnswers(): void {
      mode = 'deaf'
      for (const [, server] of pairs) server.pause()
    },
    drop(): void {
      mode = 'dropped'
      for (const socket of sockets()) socket.resetAndDestroy()
    },
    async swap(): Promise<void> {
      for (const pair of [...pairs]) {
        const [client, before] = pair
        if (waiting.has(client)) {
          client.resetAndDestroy()
          continue
        }
        for (const socket of pair) for (const event of ['data', 'drain', 'end', 'close']) socket.removeAllListeners(event)
        pairs.delete(pair)
        client.pause()
        before.destroy()
        const upstream = toTarget()
        upstream.write(hello)
        await once(upstream, 'data')
        join([client, upstream])
        client.resume()
        upstream.resume()
      }
    },
    connections: () => pairs.size,
    async close(): Promise<void> {
      for (const socket of sockets()) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
