import { z } from 'zod'
import { ErrorCodeText } from './error-code.ts'
import { type JailState, PlainName } from './jail.ts'

/** What is done to a jail. */
export const JailOperationKind = z.enum(['provision', 'start', 'stop', 'restart', 'destroy'])
export type JailOperationKind = z.infer<typeof JailOperationKind>

/** `queued` is what a jail is whose provision no worker has begun. */
type State = Exclude<JailState, 'queued'>

type Life = {
  /** What a jail must not be for it to be asked. A provision is asked of none. */
  refusedOf: readonly JailState[]
  /** What a jail is that it leaves as it is: there is nothing to do. */
  doneOf?: State
  /** What the jail is while a worker is at it, in this order. */
  meanwhile: readonly [State, ...State[]]
  /** `gone`: the jail has no record any more. */
  succeeded: State | 'gone'
  /** `as-it-is`: whatever its host has then. */
  failed: State | 'as-it-is'
  /** Without it a cancel only counts until a worker has begun, and leaves the jail as it was: see `onlyGoesForward`. */
  cancelled?: State | 'gone'
}

const unusable = ['failed', 'destroying'] as const

/** How each kind of operation takes a jail from state to state. `docs/architecture.md` shows it, with what changes a jail outside any operation. */
export const lifeOfJail: Record<JailOperationKind, Life> = {
  provision: {
    refusedOf: [],
    meanwhile: ['building', 'built', 'starting'],
    succeeded: 'running',
    failed: 'failed',
    cancelled: 'gone',
  },
  start: {
    refusedOf: unusable,
    doneOf: 'running',
    meanwhile: ['starting'],
    succeeded: 'running',
    failed: 'stopped',
    cancelled: 'stopped',
  },
  stop: { refusedOf: unusable, doneOf: 'stopped', meanwhile: ['stopping'], succeeded: 'stopped', failed: 'as-it-is' },
  restart: {
    refusedOf: unusable,
    meanwhile: ['stopping', 'starting'],
    succeeded: 'running',
    failed: 'stopped',
    cancelled: 'stopped',
  },
  destroy: { refusedOf: [], meanwhile: ['destroying'], succeeded: 'gone', failed: 'destroying' },
}

/** `fill` makes a world on a host and has no jail. */
export const OperationKind = z.enum([...JailOperationKind.options, 'fill'])
export type OperationKind = z.infer<typeof OperationKind>

/** Whether an operation that has begun is neither cancelled nor undone: what it has not done is left, and tried again. */
export const onlyGoesForward = (kind: OperationKind): boolean => kind !== 'fill' && lifeOfJail[kind].cancelled === undefined

export const OperationStatus = z.enum(['queued', 'running', 'succeeded', 'failed', 'cancelled'])
export type OperationStatus = z.infer<typeof OperationStatus>

export const StepState = z.object({
  name: z.string(),
  title: z.string(),
  status: z.enum(['pending', 'running', 'succeeded', 'failed', 'undone']),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
  /** The number of tries of the step in this attempt of the operation. */
  attempt: z.int(),
})
export type StepState = z.infer<typeof StepState>

/** What an operation waits for; `position` is its place among all that wait for the same, from 1. */
export const Waiting = z.object({ reason: z.string(), position: z.int().optional() })
export type Waiting = z.infer<typeof Waiting>

export const OperationError = z.object({
  code: ErrorCodeText,
  message: z.string(),
  hint: z.string(),
  step: z.string().nullable(),
  command: z.string().optional(),
  exitCode: z.int().optional(),
  logTail: z.string().optional(),
})
export type OperationError = z.infer<typeof OperationError>

/** A move of an operation to another host. `epoch` is the one that the operation got with it. */
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
    /** Only of a fill. */
    world: PlainName.optional(),
    batch: z.string().optional(),
    status: OperationStatus,
    percent: z.int().min(0).max(100),
    step: z.string().nullable(),
    steps: z.array(StepState),
    attempt: z.int().min(1),
    /** Seconds until its end, estimated from the durations of the same steps and world on its host. */
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

/** Returns the status of an operation or a batch as the end of a sentence: `is queued` or `has succeeded`. */
export function describeStatus(status: OperationStatus | 'paused'): string {
  if (status === 'cancelled') return 'was cancelled'
  return `${status === 'succeeded' || status === 'failed' ? 'has' : 'is'} ${status}`
}
