import type { Socket } from 'node:net'
import type { onRequestAsyncHookHandler } from 'fastify'

/** How many connections a producer has at once: each costs memory, and a batch or a page needs few. */
export const mostConnections = 4_096
/** How many requests of one connection are at work at once: HTTP/1.1 allows to send them before any is answered (RFC 9112, 9.3.2). */
const mostPipelined = 16

/**
 * Returns what bounds what a client gets without a key. A connection that sends more requests than it waits for answers is closed, and
 * what comes of one that is closed already is dropped: nobody would read it.
 */
export function boundConnections(): onRequestAsyncHookHandler {
  const atWork = new WeakMap<Socket, number>()
  return async ({ raw: { socket } }, reply) => {
    const count = (atWork.get(socket) ?? 0) + 1
    atWork.set(socket, count)
    reply.raw.once('close', () => atWork.set(socket, (atWork.get(socket) ?? 1) - 1))
    if (count > mostPipelined) socket.destroy()
    if (socket.destroyed) reply.hijack()
  }
}
