import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the ports of outgoing connections, so that a port is still free at the next start. */
const range = { first: 20_000, size: 12_000 }

export async function isPortFree(port: number): Promise<boolean> {
  const server = createServer()
  const listening = once(server, 'listening')
  server.listen(port, '127.0.0.1')
  try {
    await listening
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

/** Returns a free port on 127.0.0.1 but `taken`; `seed` chooses the first one to try. @throws Error when none is free */
export async function findFreePort(seed: number, taken?: number): Promise<number> {
  for (let i = 0; i < range.size; i += 1) {
    const port = range.first + ((seed + i) % range.size)
    if (port !== taken && (await isPortFree(port))) return port
  }
  throw new Error('No port is free on 127.0.0.1.')
}
