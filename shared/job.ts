import { z } from 'zod'
import { Command, Hostname, JailName, Limits, PlainName } from './jail.ts'
import { OperationKind } from './operation.ts'

/** The plan that a kind of operation follows. Raised when its steps change; a worker refuses one it does not know. */
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
})
export type JailSpec = z.infer<typeof JailSpec>

export const JobName = z.enum(['build', 'start', 'stop', 'restart', 'destroy'])
export type JobName = z.infer<typeof JobName>

/**
 * What a BullMQ job carries: everything a worker needs, parsed again by it. `version` is the envelope's own; a signature
 * finds its place beside `operation`.
 */
export const Job = z.object({
  version: z.literal(1),
  operation: z.uuid(),
  kind: OperationKind,
  plan: z.int(),
  host: PlainName,
  epoch: z.int().positive(),
  attempt: z.int().positive(),
  jail: JailSpec,
  issuedAt: z.iso.datetime(),
})
export type Job = z.infer<typeof Job>

/** What tells a worker at once that an operation was cancelled; `name`: its first job. */
export const CancelNotice = z.object({ job: Job, name: JobName })
export type CancelNotice = z.infer<typeof CancelNotice>
