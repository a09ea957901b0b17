import type { Redis } from 'ioredis'
import { z } from 'zod'
import type { RedisKeys } from './keys.ts'
import { answersOf } from './transactions.ts'

/** The fields of a jail's record that a worker reads, to see whether the jail on its host is the recorded one. */
export const JailFacts = z.object({
  host: z.string(),
  /** The operation that provisioned it. */
  provision: z.string(),
  state: z.string(),
  epoch: z.coerce.number().int(),
})
export type JailFacts = z.infer<typeof JailFacts>

/** Whether something of a jail must be on the host of its record: a provision that is queued or has failed has left nothing. */
export function mustBeOnHost({ state }: JailFacts): boolean {
  return state !== 'queued' && state !== 'failed'
}

/** The fields of an operation's record that a worker reads, to see whether it is still to be done, and by which host. */
export const OperationFacts = z.object({
  host: z.string(),
  status: z.string(),
  epoch: z.coerce.number().int(),
  attempt: z.coerce.number().int(),
  /** Of the last report that was applied. */
  sequence: z.coerce.number().int(),
  /** Set by a cancel. */
  cancelRequested: z.literal('1').nullish(),
})
export type OperationFacts = z.infer<typeof OperationFacts>

/** Returns the id of the fleet in Redis, or null if there is none. Producers of the version before call the field `revision`. */
export async function readFleetId(redis: Redis, keys: Pick<RedisKeys, 'fleet'>): Promise<string | null> {
  const [id = null, older = null] = await redis.hmget(keys.fleet, 'id', 'revision')
  return id ?? older
}

/** Reads the facts of several records in the order of `keys`; undefined for a record that does not exist. */
export async function readFacts<S extends z.ZodObject>(
  redis: Redis,
  schema: S,
  keys: string[],
): Promise<(z.infer<S> | undefined)[]> {
  const names = Object.keys(schema.shape)
  const pipeline = redis.pipeline()
  for (const key of keys) pipeline.hmget(key, ...names)
  return (await answersOf(pipeline)).map((values) => {
    const fields = Object.fromEntries(names.map((name, i) => [name, (values as (string | null)[])[i]]))
    return schema.safeParse(fields).data
  })
}
