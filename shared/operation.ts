import { z } from 'zod'
import { PlainName } from './jail.ts'

/** What is done to a jail. */
export const JailOperationKind = z.enum(['provision', 'start', 'stop', 'restart', 'destroy'])
export type JailOperationKind = z.infer<typeof JailOperationKind>

/** `fill` makes a world on a host and has no jail. */
export const OperationKind = z.enum([...JailOperationKind.options, 'fill'])
export type OperationKind = z.infer<typeof OperationKind>

export const OperationStatus = z.enum(['queued', 'running', 'succeeded', 'failed', 'cancelled'])
export type OperationStatus = z.infer<typeof OperationStatus>

export const StepState = z.object({
  name: z.string(),
  title: z.string(),
  status: z.enum(['pending', 'running', 'succeeded', 'failed', 'undone']),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
  /** How often the step was tried in this attempt of the operation. */
  attempt: z.int(),
})
export type StepState = z.infer<typeof StepState>

/** What an operation waits for; `position`: its place among those that wait for the same, from 1. */
export const Waiting = z.object({ reason: z.string(), position: z.int().optional() })
export type Waiting = z.infer<typeof Waiting>

export const OperationError = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string(),
  step: z.string().nullable(),
  command: z.string().optional(),
  exitCode: z.int().optional(),
  logTail: z.string().optional(),
})
export type OperationError = z.infer<typeof OperationError>

/** Why an operation was given to another host, and when. `epoch` is the one it took with the move. */
export const Move = z.object({ at: z.iso.datetime(), from: PlainName, to: PlainName, epoch: z.int(), reason: z.string() })
export type Move = z.infer<typeof Move>

/** An operation as HTTP shows it. `percent` never falls within an attempt and is 100 only at success. */
export const Operation = z
  .object({
    id: z.string(),
    kind: OperationKind,
    /** Null for a fill. */
    jail: z.string().nullable(),
    host: PlainName,
    /** Of a fill. */
    world: PlainName.optional(),
    batch: z.string().optional(),
    status: OperationStatus,
    percent: z.int().min(0).max(100),
    step: z.string().nullable(),
    steps: z.array(StepState),
    attempt: z.int().min(1),
    /** Seconds until its end, from what its host took for the same steps and world before. */
    eta: z.object({ p50: z.number(), p90: z.number() }).optional(),
    waiting: Waiting.optional(),
    error: OperationError.optional(),
    moves: z.array(Move).optional(),
    createdAt: z.iso.datetime(),
    startedAt: z.iso.datetime().nullable(),
    finishedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Operation' })
export type Operation = z.infer<typeof Operation>

export function hasEnded(status: OperationStatus): boolean {
  return status === 'succeeded' || status === 'failed' || status === 'cancelled'
}
