import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Redis } from 'ioredis'
import { ProvostError } from '#shared/errors.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { isRead } from '../access/access.ts'

const withinMs = 1_000
const retryAfterSeconds = 2

export type AwaitReplica = ReturnType<typeof makeAwaitReplica>

/**
 * Returns a hook that delays the success answer to a write until it would survive the loss of the primary (Redis with Sentinel):
 * until a replica has everything that was written for it (WAIT). Answers that come during a wait share the next one, since WAIT
 * blocks the whole connection.
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

  /** WAIT covers writes of this connection; a write just before it makes it cover all earlier ones, also of other producers. */
  async function askReplicas(): Promise<number> {
    const [, replicas] = await Promise.all([redis.set(keys.replicated, Date.now()), redis.wait(1, withinMs)])
    return replicas
  }

  /** @throws ProvostError `queue_unavailable` when no replica confirms in time. */
  return async function awaitReplica(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
    if (reply.statusCode >= 300 || isRead(request.method)) return payload
    const askedAt = Date.now() - reply.elapsedTime
    const replicas = await replicasWithIt()
    // After a reconnect the primary may be another one, which may never have got what its predecessor accepted.
    if (replicas > 0 && connectedAt < askedAt) return payload
    throw new ProvostError(
      'queue_unavailable',
      'The request was accepted but is not yet safe: no replica of Redis has it. The same request with its Idempotency-Key will find it.',
      { retryAfter: retryAfterSeconds },
    )
  }
}
