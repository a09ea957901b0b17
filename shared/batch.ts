import { z } from 'zod'
import { ErrorCodeText } from './error-code.ts'
import { CreateJail, JailState, PlainName } from './jail.ts'

export const BatchStatus = z.enum(['running', 'paused', 'succeeded', 'failed', 'cancelled'])
export type BatchStatus = z.infer<typeof BatchStatus>

/** The columns of a CSV file of a batch: those that it must have, and those that it may. */
export const csvColumns = {
  required: ['name', 'client', 'world'],
  optional: ['clientName', 'hostname', 'host', 'address', 'memory', 'cpu', 'processes', 'disk', 'setuid', 'command', 'labels'],
} as const

/** The largest batch: rows, bytes of its file, and bytes of one line. A JSON body has the same limit as any other body. */
export const largestBatch = { rows: 100_000, bytes: 64 * 1024 ** 2, lineBytes: 64 * 1024 }

/** A number that may come as the text of a query. Other text is refused: `Number` would turn an empty one into 0. */
function amount(number: z.ZodNumber) {
  return z.preprocess((value) => (typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value), number)
}

/** The options of a batch; with CSV and NDJSON they are query parameters. */
export const BatchOptions = z.strictObject({
  name: PlainName.optional(),
  /** The most operations that may be open at once. */
  maxInFlight: amount(z.int().min(1).max(10_000)).default(50).describe('50 unless it is given.'),
  /** The number of rows that go first; the others follow only if at most `maxFailures` of these failed. */
  canary: amount(z.int().min(1).max(10_000)).optional(),
  maxFailures: amount(z.int().min(0).max(100_000)).default(0).describe('0 unless it is given.'),
  /** The share of failures among the ended rows, 0 to 1, above which the batch pauses by itself. */
  maxFailureRate: amount(z.number().min(0).max(1)).optional(),
})
export type BatchOptions = z.infer<typeof BatchOptions>

export const CreateBatch = BatchOptions.extend({ jails: z.array(CreateJail).min(1).max(largestBatch.rows) }).meta({
  id: 'CreateBatch',
})
export type CreateBatch = z.infer<typeof CreateBatch>

/** Failures with one cause: the same error at the same step with the same world, names and numbers aside. */
export const Cause = z.object({
  id: z.string(),
  code: ErrorCodeText,
  step: z.string().nullable(),
  world: z.string(),
  /** The message without the parts that differ between rows. */
  message: z.string(),
  hosts: z.array(z.string()),
  count: z.int(),
  hint: z.string(),
  /** One of the operations; null for rows that were refused before they got one. */
  sampleOperation: z.string().nullable(),
})
export type Cause = z.infer<typeof Cause>

const BatchCounts = z.object({
  queued: z.int(),
  running: z.int(),
  succeeded: z.int(),
  failed: z.int(),
  cancelled: z.int(),
})

/** A batch as HTTP shows it. `rate` is in ended rows per minute, `eta` in seconds. */
export const Batch = z
  .object({
    id: z.string(),
    name: z.string(),
    status: BatchStatus,
    /** Why it is paused or waits. */
    reason: z.string().optional(),
    /** The batch whose jails it destroys; without it, it makes jails. */
    destroys: z.string().optional(),
    /** The last batch that destroys what this one has made. */
    destroyedBy: z.string().optional(),
    counts: BatchCounts,
    /** The number of rows left out at acceptance by `skipInvalid`. */
    skipped: z.int(),
    causes: z.array(Cause),
    maxInFlight: z.int(),
    canary: z.int().optional(),
    maxFailures: z.int(),
    maxFailureRate: z.number().optional(),
    rate: z.number().optional(),
    eta: z.object({ p50: z.number(), p90: z.number() }).optional(),
    createdAt: z.iso.datetime(),
    finishedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Batch' })
export type Batch = z.infer<typeof Batch>

/** A fault of a row. `line` is of the file, from 1; `row` counts rows without a header, from 1. */
export const RowFault = z.object({ line: z.int(), row: z.int().optional(), field: z.string(), message: z.string() })
export type RowFault = z.infer<typeof RowFault>

/** Faults of rows with the same cause and value. */
export const FaultCause = z.object({
  field: z.string(),
  message: z.string(),
  value: z.string().optional().describe('Without it: with further values, or with none.'),
  suggestion: z.string().optional().describe('What may be meant by the value.'),
  count: z.int(),
  lines: z.array(z.int()).describe('The first 5.'),
})
export type FaultCause = z.infer<typeof FaultCause>
export const FaultCauses = z.array(FaultCause).describe('All faults by cause, the most frequent first.')

export const SkippedRows = z
  .array(RowFault)
  .optional()
  .describe('What is wrong with the rows that were left out, the first 1,000.')

/** Where the jails of a batch would go if it were accepted now. */
export const DryRunOfBatch = z
  .object({
    rows: z
      .array(z.object({ line: z.int(), name: z.string(), host: z.string().optional(), reason: z.string().optional() }))
      .describe('The first 1,000. Without a host it would wait, and `reason` says for what.'),
    more: z.int(),
    hosts: z.record(z.string(), z.int()).describe('How many would go to each host.'),
    fits: z.boolean(),
    eta: z.object({ p50: z.number(), p90: z.number() }).optional(),
    skipped: SkippedRows,
    causes: FaultCauses.optional(),
  })
  .meta({ id: 'DryRunOfBatch' })
export type DryRunOfBatch = z.infer<typeof DryRunOfBatch>

/** How what a batch has made is destroyed: as a batch, with these of its options. */
export const DestroyBatch = BatchOptions.meta({ id: 'DestroyBatch' })

/** What a destroy of a batch would remove now. */
export const DryRunOfDestroy = z
  .object({
    dryRun: z.literal(true),
    batch: z.string(),
    jails: z
      .array(z.object({ line: z.int(), name: z.string(), client: z.string(), host: z.string(), state: JailState }))
      .describe('The first 1,000.'),
    more: z.int(),
    hosts: z.record(z.string(), z.int()).describe('How many on each host.'),
    kept: z
      .int()
      .describe('Jails of its rows that stay, as the batch has not made them: they were there before, or are made anew.'),
  })
  .meta({ id: 'DryRunOfDestroy' })
export type DryRunOfDestroy = z.infer<typeof DryRunOfDestroy>

export function hasBatchEnded(status: BatchStatus): boolean {
  return status === 'succeeded' || status === 'failed' || status === 'cancelled'
}
