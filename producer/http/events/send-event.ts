import type { FastifyReply } from 'fastify'

type Message = { id?: string; event: string; data: unknown }

/**
 * Sends an event, as fast as the client reads. @throws Error once the client has gone: what waits for it to read would wait for
 * ever, since a stream that is closed is never drained.
 */
export async function sendEvent(reply: FastifyReply, message: Message): Promise<void> {
  const gone = Promise.withResolvers<void>()
  reply.raw.once('close', gone.resolve)
  try {
    await Promise.race([reply.sse.send(message), gone.promise])
  } finally {
    reply.raw.off('close', gone.resolve)
  }
  if (!reply.sse.isConnected) throw new Error('The client has closed the stream.')
}
