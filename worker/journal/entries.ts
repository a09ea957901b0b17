import { z } from 'zod'
import { JailSpec, Origin } from '#shared/job.ts'
import { JailOperationKind, OperationError } from '#shared/operation.ts'

const StepEntry = z.object({
  type: z.literal('step'),
  step: z.string(),
  mark: z.enum(['started', 'succeeded', 'undone', 'undo-failed']),
  attempt: z.int(),
  at: z.iso.datetime(),
})
const RunEntry = z.object({ type: z.literal('run'), run: z.int(), bootId: z.string() })
/** The run before it went no further, in order: it paused, handed over, or the worker was told to stop. */
const LeftEntry = z.object({ type: z.literal('left') })
/**
 * Why it is undone. From here on that is all that happens, whichever run does it. `failed`: whether its step did; `percent`:
 * how far it had come.
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
/** What only an operation's job says of it: the spec of a jail that failed is nowhere else on its host. */
export const JournaledJob = BeginEntry.pick({ kind: true, plan: true, spec: true, origin: true })
export type JournaledJob = z.infer<typeof JournaledJob>
/** How a jail was found that somebody stopped, or whose root somebody took, without an operation. */
const JournaledDrift = z.object({ found: z.enum(['stopped', 'gone']), since: z.iso.datetime() })
export type JournaledDrift = z.infer<typeof JournaledDrift>
/**
 * A jail between operations. `leftovers`: steps of the last one that could not be undone, or not be done where it takes a
 * jail down or away, with `left` saying since when and why; `drift`: until the next one has ended.
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

/** After how many kills of its worker an operation, or a fill, is not tried again. */
export const poisonousKills = 3

export type StepMark = z.infer<typeof StepEntry>['mark']

export type JournaledStep = {
  mark: StepMark
  attempt: number
  startedAt: string
  finishedAt: string | null
  /** The boot of the host that it was done in. */
  bootId: string
}

/** An operation that has begun on this host and has not ended. */
export type JournaledOperation = Omit<z.infer<typeof BeginEntry>, 'type'> & {
  run: number
  bootId: string
  /** Whether its last run goes on, or was ended by whatever ended the worker. */
  isRunning: boolean
  /** How many of its runs were ended by what ended the worker, as far as a later run has seen. */
  kills: number
  steps: Map<string, JournaledStep>
  undoing?: Undoing
}

export type Undoing = Omit<z.infer<typeof UndoingEntry>, 'type'>

export type JournaledJail = {
  spec: JailSpec
  /** What the last ended operation left; undefined while the first one is at work. */
  settled?: Omit<z.infer<typeof JailEntry>, 'type' | 'spec'>
  current?: JournaledOperation
}

/** What the entries of a jail's file come to. */
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
  // One that waited or was interrupted goes on: it has been at work since it first began.
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
