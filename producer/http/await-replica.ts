import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Redis } from 'ioredis'
import { ProvostError } from '#shared/errors.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { isRead } from './access/access.ts'

const withinMs = 1_000
const retryAfterSeconds = 2

export type AwaitReplica = ReturnType<typeof makeAwaitReplica>

/**
 * Keeps a yes back until it would outlive the primary of a Redis with Sentinel: a hook before each answer, which waits
 * until a replica has all that was written for it (WAIT). Those that come while one waits share the next wait, since it
 * holds the whole connection.
 */
export function makeAwaitReplica(redis: Redis, keys: RedisKeys) {
  let connectedAt = Date.now()
  redis.on('ready', () => {
    connectedAt = Date.now()
  })
  let running: Promise<unknown> = Promise.resolve()
  let next: Promise<number> | undefined

  function replicasWithIt(): Promise<number> {
    next ??= running.then(() => {
      const wait = askReplicas()
      running = wait.catch(() => undefined)
      next = undefined
      return wait
    })
    return next
  }

  /** WAIT covers what this connection wrote, and so by a write of its own all before it, whichever producer's it was. */
  async function askReplicas(): Promise<number> {
    const [, replicas] = await Promise.all([redis.set(keys.replicated, Date.now()), redis.wait(1, withinMs)])
    return replicas
  }

  /** @throws ProvostError `queue_unavailable` when no replica says in time that it has it. */
  return async function awaitReplica(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
    const isYes = reply.statusCode < 300 && !isRead(request.method)
    if (!isYes) return payload
    const askedAt = Date.now() - reply.elapsedTime
    const replicas = await replicasWithIt()
    // On a connection made since, the primary may be another one, which never got what the one before it had accepted.
    if (replicas > 0 && connectedAt < askedAt) return payload
    throw new ProvostError(
      'queue_unavailable',
      'The request was accepted but is not yet safe: no replica of Redis has it. The same request with its Idempotency-Key will find it.',
      { retryAfter: retryAfterSeconds },
    )
  }
}
