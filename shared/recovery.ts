import { z } from 'zod'
import { Isolation, JailName, JailState, PlainName } from './jail.ts'
import { JailSpec, Origin } from './job.ts'
import { JailOperationKind, OperationError, OperationStatus, StepState } from './operation.ts'

/** A jail as the journal of its host has it: the content of its lost record. */
export const UploadedJail = z.object({
  type: z.literal('jail'),
  spec: JailSpec,
  epoch: z.int(),
  state: JailState,
  reason: z.string().optional(),
  jid: z.int().nullable(),
  isolation: Isolation.optional(),
  lastOperation: z.uuid(),
  at: z.iso.datetime(),
})
export type UploadedJail = z.infer<typeof UploadedJail>

/** An operation that has ended on the host or is under way there. */
export const UploadedOperation = z.object({
  type: z.literal('operation'),
  operation: z.uuid(),
  kind: JailOperationKind,
  plan: z.int(),
  jail: JailName,
  epoch: z.int(),
  attempt: z.int(),
  sequence: z.int(),
  status: OperationStatus.exclude(['queued']),
  percent: z.int(),
  step: z.string().nullable(),
  steps: z.array(StepState),
  error: OperationError.optional(),
  origin: Origin,
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
})
export type UploadedOperation = z.infer<typeof UploadedOperation>

export const UploadEntry = z.discriminatedUnion('type', [UploadedJail, UploadedOperation])
export type UploadEntry = z.infer<typeof UploadEntry>

/** The progress of a host's upload. `id` is new each time, so that it is not mistaken for an earlier upload. */
export const Upload = z.object({
  id: z.uuid(),
  /** The fleet that it is for. */
  fleet: z.string(),
  /** The number of entries so far: first jails, then operations. */
  jails: z.int(),
  operations: z.int(),
  /** The highest epoch that the host has seen. */
  epoch: z.int(),
  isComplete: z.boolean(),
})
export type Upload = z.infer<typeof Upload>

const Conflict = z.object({ jail: z.string(), detail: z.string() })

/** A host as a recovery knows it. */
export const FleetHost = z.object({
  state: z.enum(['awaited', 'taken', 'forgotten']),
  /** The last upload taken in; a worker that sees its own here adopts the id of the fleet. */
  upload: z.string().optional(),
  jails: z.int(),
  operations: z.int(),
  conflicts: z.array(Conflict),
})
export type FleetHost = z.infer<typeof FleetHost>

/** A recovery as HTTP shows it. */
export const Recovery = z
  .object({
    fleet: z.string(),
    state: z.enum(['normal', 'recovering']),
    hosts: z.array(
      z.object({
        id: PlainName,
        state: z.enum(['waiting', 'uploading', 'taken', 'forgotten']),
        jails: z.int(),
        operations: z.int(),
        /** Jails whose name or address another jail has: they are orphans of the host. */
        conflicts: z.array(Conflict),
      }),
    ),
    /** What no journal contains. Null if nothing was ever lost. */
    lost: z.string().nullable(),
  })
  .meta({ id: 'Recovery' })
export type Recovery = z.infer<typeof Recovery>
