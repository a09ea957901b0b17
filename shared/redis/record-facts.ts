import type { Redis } from 'ioredis'
import { z } from 'zod'

/** What a worker reads of a jail's record: whether that is the jail which is on its host. */
export const JailFacts = z.object({
  host: z.string(),
  /** The operation that provisioned it. */
  provision: z.string(),
})
export type JailFacts = z.infer<typeof JailFacts>

/** What a worker reads of an operation's record: whether that is still to be done, and by whom. */
export const OperationFacts = z.object({
  host: z.string(),
  status: z.string(),
  epoch: z.coerce.number().int(),
  attempt: z.coerce.number().int(),
  /** Of the last report that was applied. */
  sequence: z.coerce.number().int(),
  /** The durable flag of a cancel. */
  cancelRequested: z.literal('1').nullish(),
})
export type OperationFacts = z.infer<typeof OperationFacts>

/** Reads the facts of several records, in the order of their keys; undefined for one that is not there. */
export async function readFacts<S extends z.ZodObject>(
  redis: Redis,
  schema: S,
  keys: string[],
): Promise<(z.infer<S> | undefined)[]> {
  const names = Object.keys(schema.shape)
  const pipeline = redis.pipeline()
  for (const key of keys) pipeline.hmget(key, ...names)
  return ((await pipeline.exec()) ?? []).map(([error, values]) => {
    if (error) throw error
    const fields = Object.fromEntries(names.map((name, i) => [name, (values as (string | null)[])[i]]))
    return schema.safeParse(fields).data
  })
}
