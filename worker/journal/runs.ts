import type { JailJob } from '#shared/job.ts'
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

/** What became of a step. */
export type Mark = { step: string; mark: StepMark; attempt: number }

/** What the journal is told by the runs of operations. */
export function makeRuns(jails: JailFiles) {
  async function leaveRun(operation: JournaledOperation, marks: Mark[] = []): Promise<void> {
    const entries = [...stepEntries(marks), ...(operation.isRunning ? [{ type: 'left' as const }] : [])]
    // First in memory: this process goes on, whatever becomes of the entries.
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
    /** A worker picks an operation up: the first time it begins, later it goes on as it began. */
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

    /** Notes what becomes of steps, all in one flush. */
    mark: (operation: JournaledOperation, marks: Mark[]): Promise<void> => appendThenApply(operation, stepEntries(marks)),

    /**
     * Notes that an operation is undone from now on, and why, with the marks that its run still has to note. In memory first: on a
     * full disk it is undoing that makes room, and what is undone must not be gone on with.
     */
    beginUndo: (operation: JournaledOperation, why: Undoing, marks: Mark[]): Promise<void> =>
      applyThenAppend(operation, [...stepEntries(marks), { type: 'undoing', ...why }]),

    /** Notes what became of undoing steps. In memory first, too. */
    markUndo: (operation: JournaledOperation, marks: Mark[]): Promise<void> => applyThenAppend(operation, stepEntries(marks)),

    /**
     * A run goes no further, in order, with the marks that it still has to note. What ends the worker from now on was not the
     * doing of this operation.
     */
    leaveRun,

    /** The same of all that are at work: the worker was told to stop. */
    async leaveRuns(): Promise<void> {
      await Promise.all(jails.all().map(({ current }) => current && leaveRun(current)))
    },

    /** How often an attempt has killed its worker, also just before this start. */
    killsOf(attempt: Attempt, name: string): number {
      const current = jails.get(name)?.current
      if (!current || !isSameAttempt(current, attempt)) return 0
      return current.kills + (current.isRunning ? 1 : 0)
    },
  }
}

function stepEntries(marks: Mark[]) {
  return marks.map((mark) => ({ type: 'step' as const, ...mark, at: new Date().toISOString() }))
}

export function isSameAttempt(a: Attempt, b: Attempt): boolean {
  return a.operation === b.operation && a.epoch === b.epoch && a.attempt === b.attempt
}
