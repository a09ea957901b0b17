import { z } from 'zod'
import { CommandState, Isolation, JailName, JailState, PlainName } from './jail.ts'
import { JailOperationKind, OperationError, StepState, Waiting } from './operation.ts'

/**
 * The whole state of an operation as its worker sees it: a later report replaces an earlier one, so that a lost or late one
 * does no harm. `sequence` rises over all runs of an attempt.
 */
const common = {
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
  ...common,
  /** Missing from workers older than this field. */
  kind: JailOperationKind.optional(),
  jail: JailName,
  world: PlainName.optional(),
  /** The state that the jail is in now. `gone`: nothing of it is left on the host; `unchanged`: it was not touched. */
  jailState: z.enum([...JailState.exclude(['queued']).options, 'gone', 'unchanged']),
  jid: z.int().nullable(),
  isolation: Isolation.optional(),
  commandState: CommandState.optional(),
})
export type OperationReport = z.infer<typeof OperationReport>

/** An operation that makes a world. */
export const FillReport = z.object({ type: z.literal('fill'), ...common, world: PlainName })
export type FillReport = z.infer<typeof FillReport>

/** The state of a jail without an open operation: at the start of its worker, or once it was stopped by hand (`stopped`) or its
 * root was taken away (`failed`). */
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
  commandState: CommandState.optional(),
})
export type JailReport = z.infer<typeof JailReport>

/** A worker has started; its host report has the details. */
const EnrolReport = z.object({ type: z.literal('enrol'), host: PlainName, at: z.iso.datetime() })

/** An entry of the report stream, as JSON in its field `report`. */
export const Report = z.discriminatedUnion('type', [OperationReport, FillReport, JailReport, EnrolReport])
export type Report = z.infer<typeof Report>
