import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { z } from 'zod'
import { CreateJail, Isolation, Jail, Labels, Limits } from '#shared/jail.ts'
import { JailSpec, Origin, planVersion } from '#shared/job.ts'
import { Move, Operation, OperationError, StepState, Waiting } from '#shared/operation.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'

/** How long an operation is kept once it has ended. */
export const endedKeptMs = 30 * 24 * 3_600_000
/** Should no sweeper take it out, Redis does; a day later, since a sweeper still knows which lists it stands in. */
export const endedExpireSeconds = 31 * 24 * 3_600

/** A JSON text in a hash's field. */
export const json = <S extends z.ZodType>(schema: S) =>
  z
    .string()
    .transform((text) => JSON.parse(text))
    .pipe(schema)
export const integer = z.coerce.number().int()
export const nullable = <S extends z.ZodType>(schema: S) => z.union([z.literal('').transform(() => null), schema])

/** Address, prefix length, and the CIDR of the pool that it goes back to. */
export const Lease = z.tuple([z.string(), z.int(), z.string()])
export type Lease = z.infer<typeof Lease>

const JailFields = z.object({
  name: z.string(),
  provision: z.string(),
  client: z.string(),
  hostname: z.string(),
  world: z.string(),
  worldDigest: z.string(),
  host: z.string(),
  leases: json(z.array(Lease)),
  limits: json(Limits),
  command: json(z.array(z.string())).optional(),
  labels: json(Labels),
  state: Jail.shape.state,
  reason: z.string().optional(),
  jid: nullable(integer),
  epoch: integer,
  isolation: json(Isolation).optional(),
  lastOperation: z.string(),
  createdAt: z.string(),
  updatedAt: z.string(),
  revision: z.string(),
})

const OperationFields = z.object({
  id: z.string(),
  kind: Operation.shape.kind,
  jail: nullable(z.string()),
  world: z.string().optional(),
  batch: z.string().optional(),
  status: Operation.shape.status,
  percent: integer,
  step: nullable(z.string()),
  steps: json(z.array(StepState)),
  attempt: integer,
  waiting: json(Waiting).optional(),
  error: json(OperationError).optional(),
  createdAt: z.string(),
  startedAt: nullable(z.string()),
  finishedAt: nullable(z.string()),
  moves: json(z.array(Move)).optional(),
  host: z.string(),
  epoch: integer,
  plan: integer.default(planVersion),
  /** The last report that was applied. */
  sequence: integer,
  /** How often its jobs were put into a queue. */
  wakeup: integer,
  /** How many of them have failed without a word of its host, in this attempt. */
  failedJobs: integer.optional(),
  cancelRequested: z.literal('1').optional(),
  /** What a provision was asked for: it is admitted again from this after a cancel. */
  request: json(CreateJail).optional(),
  /** Of a fill. */
  worldDigest: z.string().optional(),
  /** The jail of a host that an operation is about though the fleet has no record of it. */
  orphan: json(JailSpec).optional(),
  /** The requests under an Idempotency-Key that it is the answer to. */
  requests: json(Origin.shape.requests.unwrap()).optional(),
  revision: z.string(),
})

/** A jail's record: what HTTP shows, and what only the producer needs. */
export type JailRecord = z.infer<typeof JailFields>
export type OperationRecord = z.infer<typeof OperationFields>

export const jailFromFields = (fields: Record<string, string>): JailRecord => JailFields.parse(fields)
export const operationFromFields = (fields: Record<string, string>): OperationRecord => OperationFields.parse(fields)

/** A record's fields as they go into its hash: names and values in turn; what is undefined is left out. */
export function toFields(record: Record<string, unknown>): string[] {
  return Object.entries(record).flatMap(([name, value]) => {
    if (value === undefined) return []
    if (value === null) return [name, '']
    return [name, typeof value === 'object' ? JSON.stringify(value) : String(value)]
  })
}

export function addressesOf({ leases }: Pick<JailRecord, 'leases'>): string[] {
  return leases.map(([address, prefix]) => `${address}/${prefix}`)
}

export function toJail({ leases, provision: _provision, worldDigest: _digest, revision: _revision, ...shown }: JailRecord): Jail {
  return { ...shown, addresses: addressesOf({ leases }) } as Jail
}

export function toOperation({
  epoch: _epoch,
  plan: _plan,
  sequence: _sequence,
  wakeup: _wakeup,
  failedJobs: _failedJobs,
  cancelRequested: _cancelRequested,
  request: _request,
  worldDigest: _worldDigest,
  orphan: _orphan,
  requests: _requests,
  revision: _revision,
  ...shown
}: OperationRecord): Operation {
  return shown as Operation
}

export function toSpec(jail: JailRecord): JailSpec {
  return JailSpec.parse({ ...jail, addresses: addressesOf(jail) })
}

export type Records = ReturnType<typeof makeRecords>

/** Reads records. Writing is the scripts' alone. One that cannot be read is left out where many are, and logged once. */
export function makeRecords(redis: Redis, keys: RedisKeys, log?: Pick<Logger, 'error'>) {
  const unreadable = new Set<string>()

  async function readAll(all: string[]): Promise<{ key: string; fields: Record<string, string> }[]> {
    if (all.length === 0) return []
    const pipeline = redis.pipeline()
    for (const key of all) pipeline.hgetall(key)
    const answers = (await pipeline.exec()) ?? []
    return answers.flatMap(([error, fields], i) => {
      if (error) throw error
      const key = all[i] ?? ''
      return Object.keys(fields as object).length === 0 ? [] : [{ key, fields: fields as Record<string, string> }]
    })
  }

  async function readOne<T>(key: string, parse: (fields: Record<string, string>) => T): Promise<T | undefined> {
    const [found] = await readAll([key])
    return found && parse(found.fields)
  }

  async function readMany<T>(all: string[], parse: (fields: Record<string, string>) => T): Promise<T[]> {
    return (await readAll(all)).flatMap(({ key, fields }) => {
      try {
        return [parse(fields)]
      } catch (error) {
        if (!unreadable.has(key)) log?.error({ err: error, key }, 'a record cannot be read; lists leave it out')
        unreadable.add(key)
        return []
      }
    })
  }

  return {
    async jail(name: string): Promise<JailRecord | undefined> {
      return readOne(keys.jail(name), jailFromFields)
    },
    async operation(id: string): Promise<OperationRecord | undefined> {
      return readOne(keys.operation(id), operationFromFields)
    },
    /** The jail that an operation is about, if it is one of the fleet and still has its record. */
    async jailOf({ jail, orphan }: OperationRecord): Promise<JailRecord | null> {
      return jail === null || orphan ? null : ((await readOne(keys.jail(jail), jailFromFields)) ?? null)
    },
    jails: (names: string[]) => readMany(names.map(keys.jail), jailFromFields),
    operations: (ids: string[]) => readMany(ids.map(keys.operation), operationFromFields),
  }
}
