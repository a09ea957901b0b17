import type { FastifyReply } from 'fastify'

/** Sends the headers at once, not with the first event, since clients wait for them. */
export function startStream(reply: FastifyReply): void {
  reply.sse.sendHeaders()
  reply.raw.flushHeaders()
}
