import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * A port that nobody listens on, and that no connection of this computer is given as its own: a server that is killed must
 * find it free again. Linux takes those from 32768 on (ip_local_port_range).
 */
export async function quietPort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 20_000)
    const server = createServer()
    const listening = once(server, 'listening').then(
      () => true,
      () => false,
    )
    server.listen(port, '127.0.0.1')
    if (!(await listening)) continue
    server.close()
    await once(server, 'close')
    return port
  }
}
