import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export type TcpProxy = Awaited<ReturnType<typeof startTcpProxy>>

type Pair = [fromClient: Socket, toServer: Socket]

/**
 * A way to a TCP server that can be interrupted as networks are. `pass` forwards; `silence` accepts and keeps all
 * connections but forwards nothing, so that neither side learns of it: what was sent meanwhile arrives when it passes
 * again; `loseAnswers` forwards to the server, but keeps what it answers: a `drop` after it loses that; `drop` ends all
 * connections and takes no new ones.
 */
export async function startTcpProxy(host: string, target: { host: string; port: number }) {
  const pairs = new Set<Pair>()
  let mode: 'pass' | 'silent' | 'deaf' | 'dropped' = 'pass'

  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    if (mode === 'dropped') return void client.resetAndDestroy()
    const upstream = connect({ ...target, allowHalfOpen: true, noDelay: true })
    client.setNoDelay(true)
    const pair: Pair = [client, upstream]
    pairs.add(pair)
    forward(client, upstream)
    forward(upstream, client)
    for (const socket of pair) {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        pairs.delete(pair)
        for (const each of pair) each.destroy()
      })
    }
    if (mode !== 'silent') client.resume()
    if (mode !== 'pass') upstream.pause()
  }).listen(0, host)
  await once(server, 'listening')

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
    connections: () => pairs.size,
    async close(): Promise<void> {
      for (const socket of sockets()) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
