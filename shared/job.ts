import { z } from 'zod'
import { ConsoleMark, mostConsoleBytes } from './console.ts'
import { ClientName, Command, Hostname, JailName, Labels, Limits, PlainName, Privileges } from './jail.ts'
import { JailOperationKind, type OperationKind } from './operation.ts'

/** The version of the plans. Raised when steps change; a worker leaves jobs with an unknown plan in the queue. */
export const planVersion = 1

/** All that a host needs to make a jail. The producer writes it once, at admission. */
export const JailSpec = z.object({
  name: JailName,
  /** The provision that made it. It distinguishes two jails of one name, whatever became of the records. */
  provision: z.uuid(),
  client: PlainName,
  hostname: Hostname,
  world: PlainName,
  /** sha256 of the world's definition on the chosen host, 64 hex digits. */
  worldDigest: z.string().regex(/^[0-9a-f]{64}$/),
  /** In CIDR form, with the prefix length of the pool. */
  addresses: z.array(z.union([z.cidrv4(), z.cidrv6()])),
  limits: Limits,
  privileges: Privileges.optional(),
  command: Command.optional(),
  /** Not needed by hosts: kept so that a Redis that lost everything can be rebuilt from them. */
  clientName: ClientName.optional(),
  labels: Labels.optional(),
  createdAt: z.iso.datetime().optional(),
})
export type JailSpec = z.infer<typeof JailSpec>

export const JobName = z.enum(['fill', 'build', 'start', 'stop', 'restart', 'destroy'])
export type JobName = z.infer<typeof JobName>

/** The jobs of each kind of operation in order; each waits for the one before it. */
export const jobsOf = {
  provision: ['build', 'start'],
  start: ['start'],
  stop: ['stop'],
  restart: ['restart'],
  destroy: ['destroy'],
  fill: ['fill'],
} as const satisfies Record<OperationKind, readonly [JobName, ...JobName[]]>

/** The jobs of a kind of operation. */
export type JobOf<K extends OperationKind> = (typeof jobsOf)[K][number]

export const firstJobOf = (kind: OperationKind): JobName => jobsOf[kind][0]
export const lastJobOf = (kind: OperationKind): JobName => jobsOf[kind].at(-1) ?? firstJobOf(kind)

/** A world on a host: its name and the sha256 of its definition. Jails made from it record both. */
export const WorldId = z.object({ name: PlainName, digest: JailSpec.shape.worldDigest })
export type WorldId = z.infer<typeof WorldId>

/** What a host says of a job that has expired: a new one is signed for its operation, which has not failed. */
export const hasExpired = 'it has expired'

/** The fields of every job. `version` is the envelope's own; the signature of the producer is over all the others. */
const envelope = {
  version: z.literal(1),
  operation: z.uuid(),
  plan: z.int(),
  host: PlainName,
  epoch: z.int().positive(),
  attempt: z.int().positive(),
  issuedAt: z.iso.datetime(),
  /** Missing from producers that do not sign. */
  expiresAt: z.iso.datetime().optional(),
  signature: z.string().optional(),
}

/** Fields of an operation's record that no host needs: kept for a Redis that lost everything. */
export const Origin = z.object({
  createdAt: z.iso.datetime(),
  batch: z.string().optional(),
  /** The requests for it that had an Idempotency-Key: the key as stored in Redis, and the fingerprint of the request. */
  requests: z.array(z.object({ key: z.string(), fingerprint: z.string() })).optional(),
})
export type Origin = z.infer<typeof Origin>

export const JailJob = z.object({ ...envelope, kind: JailOperationKind, jail: JailSpec, origin: Origin.optional() })
export type JailJob = z.infer<typeof JailJob>

export const FillJob = z.object({ ...envelope, kind: z.literal('fill'), world: WorldId })
export type FillJob = z.infer<typeof FillJob>

/** The data of a BullMQ job: all that a worker needs. The worker parses it again. */
export const Job = z.discriminatedUnion('kind', [JailJob, FillJob])
export type Job = z.infer<typeof Job>

/** Notifies a worker at once of a cancelled operation (`name`: its first job) or of another request. */
export const HostNotice = z.discriminatedUnion('type', [
  z.object({ type: z.literal('cancel'), job: Job, name: JobName }),
  z.object({ type: z.literal('retry-leftovers') }),
  /** The answer is written below the host's prefix, for a moment, under the id of the request. */
  z.object({
    type: z.literal('read-console'),
    jail: JailName,
    request: z.uuid(),
    mostBytes: z.int().min(0).max(mostConsoleBytes),
    after: ConsoleMark.optional(),
  }),
])
export type HostNotice = z.infer<typeof HostNotice>

/** What the signature of a notice is over, beside the notice. */
export const NoticeEnvelope = z.object({ host: PlainName, expiresAt: z.iso.datetime() })
