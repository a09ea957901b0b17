import { z } from 'zod'
import { type JailJob, JailSpec, Origin } from '#shared/job.ts'
import { JailOperationKind, OperationError } from '#shared/operation.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'

const StepEntry = z.object({
  type: z.literal('step'),
  step: z.string(),
  mark: z.enum(['started', 'succeeded', 'undone', 'undo-failed']),
  attempt: z.int(),
  at: z.iso.datetime(),
})
const RunEntry = z.object({ type: z.literal('run'), run: z.int(), bootId: z.string() })
/** The run before it ended in order: it paused, handed over, or the worker stopped. */
const LeftEntry = z.object({ type: z.literal('left') })
/**
 * Why the operation is undone. From here on only that happens, in whichever run. `failed`: whether its step did; `percent`:
 * how far the operation had come.
 */
const UndoingEntry = z.object({
  type: z.literal('undoing'),
  error: OperationError,
  failed: z.boolean(),
  percent: z.int().default(0),
})
const BeginEntry = z.object({
  type: z.literal('begin'),
  operation: z.uuid(),
  kind: JailOperationKind,
  plan: z.int(),
  epoch: z.int(),
  attempt: z.int(),
  spec: JailSpec,
  origin: Origin.optional(),
})
/** What only an operation's job has: the spec of a jail that failed is nowhere else on its host. */
export const JournaledJob = BeginEntry.pick({ kind: true, plan: true, spec: true, origin: true })
export type JournaledJob = z.infer<typeof JournaledJob>
/** How a jail was found that somebody stopped, or whose root somebody took, without an operation. */
const JournaledDrift = z.object({ found: z.enum(['stopped', 'gone']), since: z.iso.datetime() })
export type JournaledDrift = z.infer<typeof JournaledDrift>
/**
 * A jail between operations. `leftovers`: the steps of the last operation that could not be undone or, where it stops or
 * destroys the jail, not be done; `left`: since when and why. `drift` stays until the next operation has ended.
 */
const JailEntry = z.object({
  type: z.literal('jail'),
  epoch: z.int(),
  wanted: z.enum(['running', 'stopped', 'gone']),
  leftovers: z.array(z.string()),
  left: z.object({ since: z.iso.datetime(), error: z.string() }).optional(),
  drift: JournaledDrift.optional(),
  spec: JailSpec,
})
export const Entry = z.discriminatedUnion('type', [JailEntry, BeginEntry, RunEntry, LeftEntry, UndoingEntry, StepEntry])
export type Entry = z.infer<typeof Entry>

/** An operation or a fill that has killed its worker this often is not tried again. */
export const poisonousKills = 3

export type StepMark = z.infer<typeof StepEntry>['mark']

type JournaledStep = {
  mark: StepMark
  attempt: number
  startedAt: string
  finishedAt: string | null
  /** The boot of the host in which it was done. */
  bootId: string
}

/** An operation that has begun on this host and has not ended. */
export type JournaledOperation = Omit<z.infer<typeof BeginEntry>, 'type'> & {
  run: number
  bootId: string
  /** Whether its last run goes on, or ended with its worker. */
  isRunning: boolean
  /** How many of its runs ended with their worker, by what later runs have seen. */
  kills: number
  steps: Map<string, JournaledStep>
  undoing?: Undoing
}

export type Undoing = Omit<z.infer<typeof UndoingEntry>, 'type'>

export type JournaledJail = {
  spec: JailSpec
  /** What the last ended operation left; undefined while the first one runs. */
  settled?: Omit<z.infer<typeof JailEntry>, 'type' | 'spec'>
  current?: JournaledOperation
}

/** Returns the jail that the entries of its file describe. */
export function replay(entries: Entry[]): JournaledJail | undefined {
  let jail: JournaledJail | undefined
  for (const entry of entries) {
    if (entry.type === 'jail') {
      const { type: _, spec, ...settled } = entry
      jail = { spec, settled }
    } else if (entry.type === 'begin') {
      const { type: _, ...begin } = entry
      jail = { ...jail, spec: entry.spec, current: beginningOf(begin) }
    } else if (jail?.current) applyEntry(jail.current, entry)
  }
  return jail
}

export function beginningOf(begin: Omit<z.infer<typeof BeginEntry>, 'type'>): JournaledOperation {
  return { ...begin, run: 0, bootId: '', isRunning: false, kills: 0, steps: new Map() }
}

/** Returns the job of an operation as its host would get it now. */
export function toJob({ operation, kind, plan, epoch, attempt, spec }: JournaledOperation, host: string): JailJob {
  return { version: 1, host, operation, kind, plan, epoch, attempt, jail: spec, issuedAt: fleetTime().toISOString() }
}

export type EntryOfOperation = z.infer<typeof RunEntry | typeof LeftEntry | typeof UndoingEntry | typeof StepEntry>

export function applyEntry(operation: JournaledOperation, entry: EntryOfOperation) {
  if (entry.type === 'step') return applyMark(operation, entry)
  if (entry.type === 'undoing') {
    const { type: _, ...undoing } = entry
    operation.undoing = undoing
    return
  }
  if (entry.type === 'run') {
    if (operation.isRunning) operation.kills += 1
    operation.run = entry.run
    operation.bootId = entry.bootId
  }
  operation.isRunning = entry.type === 'run'
}

function applyMark(operation: JournaledOperation, { step, mark, attempt, at }: z.infer<typeof StepEntry>): void {
  const before = operation.steps.get(step)
  // A step that waited or was interrupted goes on: it has run since it first began.
  const begins = mark === 'started' && before?.mark !== 'started'
  const startedAt = begins ? at : (before?.startedAt ?? at)
  operation.steps.set(step, {
    mark,
    attempt,
    startedAt,
    finishedAt: mark === 'started' ? null : at,
    bootId: operation.bootId,
  })
}
