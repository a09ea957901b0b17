import type { JailJob } from '#shared/job.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { Attempt } from './ended-operations.ts'
import {
  applyEntry,
  beginningOf,
  type EntryOfOperation,
  type JournaledOperation,
  type StepMark,
  type Undoing,
} from './entries.ts'
import type { JailFiles } from './jail-files.ts'

/** How a step is now. */
export type Mark = { step: string; mark: StepMark; attempt: number }

/** Returns what the runs of operations note in the journal. */
export function makeRuns(jails: JailFiles) {
  async function leaveRun(operation: JournaledOperation, marks: Mark[] = []): Promise<void> {
    const entries = [...stepEntries(marks), ...(operation.isRunning ? [{ type: 'left' as const }] : [])]
    // In memory first: this process goes on, whatever becomes of the entries.
    if (entries.length > 0) await applyThenAppend(operation, entries)
  }

  async function applyThenAppend(operation: JournaledOperation, entries: EntryOfOperation[]): Promise<void> {
    for (const entry of entries) applyEntry(operation, entry)
    await jails.append(operation, entries)
  }

  async function appendThenApply(operation: JournaledOperation, entries: EntryOfOperation[]): Promise<void> {
    await jails.append(operation, entries)
    for (const entry of entries) applyEntry(operation, entry)
  }

  return {
    /** Begins a run: the first of an operation begins the operation, a later one goes on with it as it began. */
    async beginRun(job: JailJob, bootId: string): Promise<JournaledOperation> {
      const jail = jails.get(job.jail.name) ?? { spec: job.jail }
      const known = jail.current
      if (known && isSameAttempt(known, job)) {
        await appendThenApply(known, [{ type: 'run', run: known.run + 1, bootId }])
        return known
      }
      const { operation, kind, plan, epoch, attempt, origin } = job
      const begin = { operation, kind, plan, epoch, attempt, spec: job.jail, ...(origin ? { origin } : {}) }
      const run = { type: 'run' as const, run: 1, bootId }
      const settled = jail.settled ? [{ type: 'jail', spec: job.jail, ...jail.settled }] : []
      const current = beginningOf(begin)
      applyEntry(current, run)
      await jails.replace({ ...jail, spec: job.jail, current }, [...settled, { type: 'begin', ...begin }, run])
      return current
    },

    /** Notes how steps are, all in one flush. */
    mark: (operation: JournaledOperation, marks: Mark[]): Promise<void> => appendThenApply(operation, stepEntries(marks)),

    /**
     * Notes that an operation is undone from now on, and why, with the marks that its run still has to note. In memory first: on
     * a full disk it is undoing that makes room, and an operation that is undone must not go forward again.
     */
    beginUndo: (operation: JournaledOperation, why: Undoing, marks: Mark[]): Promise<void> =>
      applyThenAppend(operation, [...stepEntries(marks), { type: 'undoing', ...why }]),

    /** Notes how the undo of steps went. In memory first, too. */
    markUndo: (operation: JournaledOperation, marks: Mark[]): Promise<void> => applyThenAppend(operation, stepEntries(marks)),

    /**
     * Notes that a run ends in order, with the marks that it still has to note. What kills the worker from now on does not count
     * against the operation.
     */
    leaveRun,

    /** The same for every operation that runs: the worker stops. */
    async leaveRuns(): Promise<void> {
      await Promise.all(jails.all().map(({ current }) => current && leaveRun(current)))
    },

    /** Returns how often an attempt has killed its worker, including a kill just before this start. */
    killsOf(attempt: Attempt, name: string): number {
      const current = jails.get(name)?.current
      if (!current || !isSameAttempt(current, attempt)) return 0
      return current.kills + (current.isRunning ? 1 : 0)
    },
  }
}

function stepEntries(marks: Mark[]) {
  return marks.map((mark) => ({ type: 'step' as const, ...mark, at: fleetTime().toISOString() }))
}

export function isSameAttempt(a: Attempt, b: Attempt): boolean {
  return a.operation === b.operation && a.epoch === b.epoch && a.attempt === b.attempt
}
