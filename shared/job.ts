import { z } from 'zod'
import { Command, Hostname, JailName, Labels, Limits, PlainName } from './jail.ts'
import { JailOperationKind, type OperationKind } from './operation.ts'

/** The plan that a kind of operation follows. Raised when its steps change; a worker leaves one it does not know waiting. */
export const planVersion = 1

/** What a host needs to know of a jail to make it. The producer writes it once, at admission. */
export const JailSpec = z.object({
  name: JailName,
  /** The provision that made it. Two jails of one name are told apart by it, whatever became of the records. */
  provision: z.uuid(),
  client: PlainName,
  hostname: Hostname,
  world: PlainName,
  /** sha256 of the world's definition on the chosen host, 64 hex digits. */
  worldDigest: z.string().regex(/^[0-9a-f]{64}$/),
  /** CIDR form, the pool's prefix length. */
  addresses: z.array(z.union([z.cidrv4(), z.cidrv6()])),
  limits: Limits,
  command: Command.optional(),
  /** No host needs them: a Redis that lost everything gets them back from the hosts. */
  labels: Labels.optional(),
  createdAt: z.iso.datetime().optional(),
})
export type JailSpec = z.infer<typeof JailSpec>

export const JobName = z.enum(['fill', 'build', 'start', 'stop', 'restart', 'destroy'])
export type JobName = z.infer<typeof JobName>

/** The jobs of each kind of operation, in the order they run: each waits for the one before it. */
export const jobsOf = {
  provision: ['build', 'start'],
  start: ['start'],
  stop: ['stop'],
  restart: ['restart'],
  destroy: ['destroy'],
  fill: ['fill'],
} as const satisfies Record<OperationKind, readonly [JobName, ...JobName[]]>

/** The jobs that an operation of a kind may have. */
export type JobOf<K extends OperationKind> = (typeof jobsOf)[K][number]

export const firstJobOf = (kind: OperationKind): JobName => jobsOf[kind][0]
export const lastJobOf = (kind: OperationKind): JobName => jobsOf[kind].at(-1) ?? firstJobOf(kind)

/** A world on a host: its name and the sha256 of its definition. Jails made from it keep both. */
export const WorldId = z.object({ name: PlainName, digest: JailSpec.shape.worldDigest })
export type WorldId = z.infer<typeof WorldId>

/** What every job carries. `version` is the envelope's own; a signature finds its place beside `operation`. */
const envelope = {
  version: z.literal(1),
  operation: z.uuid(),
  plan: z.int(),
  host: PlainName,
  epoch: z.int().positive(),
  attempt: z.int().positive(),
  issuedAt: z.iso.datetime(),
}

/** What an operation's record has and no host needs, for a Redis that lost everything. */
export const Origin = z.object({
  createdAt: z.iso.datetime(),
  batch: z.string().optional(),
  /** The requests that asked for it under an Idempotency-Key: the key as Redis has it, and what the request was. */
  requests: z.array(z.object({ key: z.string(), fingerprint: z.string() })).optional(),
})
export type Origin = z.infer<typeof Origin>

export const JailJob = z.object({ ...envelope, kind: JailOperationKind, jail: JailSpec, origin: Origin.optional() })
export type JailJob = z.infer<typeof JailJob>

export const FillJob = z.object({ ...envelope, kind: z.literal('fill'), world: WorldId })
export type FillJob = z.infer<typeof FillJob>

/** What a BullMQ job carries: everything a worker needs, parsed again by it. */
export const Job = z.discriminatedUnion('kind', [JailJob, FillJob])
export type Job = z.infer<typeof Job>

/** What tells a worker at once that an operation was cancelled (`name`: its first job), or what else it is asked for. */
export const HostNotice = z.discriminatedUnion('type', [
  z.object({ type: z.literal('cancel'), job: Job, name: JobName }),
  z.object({ type: z.literal('retry-leftovers') }),
])
export type HostNotice = z.infer<typeof HostNotice>
