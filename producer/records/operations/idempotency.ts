import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { ProvostError } from '#shared/errors.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'

/** Identifies a request under an Idempotency-Key: the Redis key of its answer, a hash of the request, and a TTL in seconds. */
export type Idempotency = { key: string; fingerprint: string; ttl: number }

export const keptSeconds = 30 * 24 * 3_600

/**
 * Returns what identifies a request under its `Idempotency-Key`: the same key with the same method, path and body is the same
 * request. Undefined without the header. @throws ProvostError `invalid_request` for a key that is empty or too long.
 */
export function idempotencyOf(
  request: { method: string; url: string; body: unknown; header: string | string[] | undefined },
  scope: string,
  keys: RedisKeys,
): Idempotency | undefined {
  const { header } = request
  if (header === undefined) return undefined
  if (typeof header !== 'string' || header.length === 0 || header.length > 255)
    throw new ProvostError('invalid_request', 'Idempotency-Key must be one header of 1 to 255 characters.', {
      errors: [{ field: 'Idempotency-Key', message: 'must have 1 to 255 characters' }],
    })
  const path = request.url.split('?')[0]
  return {
    key: keys.idempotency(scope, sha256(header)),
    fingerprint: sha256(`${request.method} ${path}\n${JSON.stringify(sorted(request.body ?? null))}`),
    ttl: keptSeconds,
  }
}

/** Returns the 422 for a key that was used for another request. */
export function keyReused(): ProvostError {
  return new ProvostError('idempotency_key_reused', 'This Idempotency-Key stands for another request.')
}

/**
 * Returns the id of the operation or batch that a request under the same key was answered with before; undefined if it is new.
 * @throws ProvostError `idempotency_key_reused`.
 */
export async function answeredBefore(redis: Redis, { key, fingerprint }: Idempotency): Promise<string | undefined> {
  const [known, id] = await redis.hmget(key, 'fingerprint', 'operation')
  if (!id) return undefined
  if (known !== fingerprint) throw keyReused()
  return id
}

/** Returns a request in the form in which an operation's record keeps it: its key without the prefix of all such keys. */
export function keptRequest({ key, fingerprint }: Idempotency, keys: RedisKeys): { key: string; fingerprint: string } {
  return { key: key.slice(keys.idempotency('', '').length - 1), fingerprint }
}

/** Returns the Redis key of a request that a record has kept. It always begins with the prefix of such keys. */
export function keyOfRequest(kept: { key: string }, keys: RedisKeys): string {
  return `${keys.idempotency('', '').slice(0, -1)}${kept.key}`
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Returns the value with the names of every object sorted, so that the order in which a client writes JSON does not matter. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => [name, sorted(inner)]),
  )
}
