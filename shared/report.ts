import { z } from 'zod'
import { Isolation, JailName, PlainName } from './jail.ts'
import { JailOperationKind, OperationError, StepState, Waiting } from './operation.ts'

/**
 * How an operation stands, whole, as its worker sees it: a later report makes an earlier one superfluous, so one that is
 * lost or late does no harm. `sequence` rises over all runs of an attempt.
 */
const standing = {
  host: PlainName,
  operation: z.uuid(),
  epoch: z.int(),
  attempt: z.int(),
  sequence: z.int(),
  at: z.iso.datetime(),
  status: z.enum(['running', 'succeeded', 'failed', 'cancelled']),
  percent: z.int(),
  step: z.string().nullable(),
  steps: z.array(StepState),
  waiting: Waiting.optional(),
  error: OperationError.optional(),
}

/** An operation on a jail. */
export const OperationReport = z.object({
  type: z.literal('operation'),
  ...standing,
  /** None of a worker that is older than reports with a kind. */
  kind: JailOperationKind.optional(),
  jail: JailName,
  world: PlainName.optional(),
  /** The state the jail is in now. `gone`: nothing of it is left on the host; `unchanged`: it was not touched. */
  jailState: z.enum([
    'building',
    'built',
    'starting',
    'running',
    'stopping',
    'stopped',
    'failed',
    'destroying',
    'gone',
    'unchanged',
  ]),
  jid: z.int().nullable(),
  isolation: Isolation.optional(),
})
export type OperationReport = z.infer<typeof OperationReport>

/** An operation that makes a world. */
export const FillReport = z.object({ type: z.literal('fill'), ...standing, world: PlainName })
export type FillReport = z.infer<typeof FillReport>

/**
 * How a jail stands that no operation is at work on: found at a worker's start, or later, when somebody stopped it by hand
 * (`stopped`) or took its root away (`failed`).
 */
export const JailReport = z.object({
  type: z.literal('jail'),
  host: PlainName,
  jail: JailName,
  epoch: z.int(),
  at: z.iso.datetime(),
  jailState: z.enum(['running', 'stopped', 'failed']),
  /** Why, when nobody asked Provost for it. */
  reason: z.string().optional(),
  jid: z.int().nullable(),
  isolation: Isolation.optional(),
})
export type JailReport = z.infer<typeof JailReport>

/** A worker is there; its host report says the rest. */
export const EnrolReport = z.object({ type: z.literal('enrol'), host: PlainName, at: z.iso.datetime() })

/** One entry of the report stream, in its field `report`, as JSON. */
export const Report = z.discriminatedUnion('type', [OperationReport, FillReport, JailReport, EnrolReport])
export type Report = z.infer<typeof Report>
