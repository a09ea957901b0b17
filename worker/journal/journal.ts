import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { JailJob } from '#shared/job.ts'
import type { OperationReport } from '#shared/report.ts'
import { type Attempt, openEndedOperations } from './ended-operations.ts'
import {
  applyEntry,
  beginningOf,
  Entry,
  type EntryOfOperation,
  type JournaledDrift,
  type JournaledJail,
  JournaledJob,
  type JournaledOperation,
  replay,
  type StepMark,
  type Undoing,
} from './entries.ts'
import { appendEntries, flushDirectory, journalFiles, recoverEntries, replaceEntries } from './file.ts'

/** What became of a step. */
export type Mark = { step: string; mark: StepMark; attempt: number }

export type Journal = Awaited<ReturnType<typeof openJournal>>

/**
 * What a host knows of its jails, on its own disk: a file for each jail, with an entry for each event, flushed before
 * what follows it is done; and one file of the operations that have ended, which decides where a crash let the two differ.
 * Who writes of a jail holds its lock.
 */
export async function openJournal(directory: string, files = journalFiles) {
  const jailDirectory = join(directory, 'jails')
  await mkdir(jailDirectory, { recursive: true, mode: 0o700 })
  const ended = await openEndedOperations(join(directory, 'ended.ndjson'), files)
  const jails = new Map<string, JournaledJail>()

  const fileOf = (name: string) => join(jailDirectory, `${name}.ndjson`)

  /** Brings a jail's file to what its ended operation left: removed when nothing of the jail is on the host. */
  async function settle(name: string, report: OperationReport): Promise<void> {
    const jail = jails.get(name)
    if (!jail) return
    const leftovers = leftoversOf(report, jail.current)
    const untouched = report.jailState === 'unchanged'
    const gone = ['gone', 'failed', 'destroying'].includes(report.jailState)
    if ((gone && leftovers.length === 0) || (untouched && !jail.settled)) {
      await files.remove(fileOf(name))
      jails.delete(name)
      return
    }
    const wanted = gone ? 'gone' : report.jailState === 'running' ? 'running' : 'stopped'
    const left = leftovers.length > 0 ? { left: { since: report.at, error: report.error?.message ?? '' } } : {}
    await resettle(
      jail,
      untouched && jail.settled ? { ...jail.settled, epoch: report.epoch } : { epoch: report.epoch, wanted, leftovers, ...left },
    )
    delete jail.current
  }

  async function resettle(jail: JournaledJail, settled: NonNullable<JournaledJail['settled']>): Promise<void> {
    await replaceEntries(fileOf(jail.spec.name), [{ type: 'jail', spec: jail.spec, ...settled }], files)
    jail.settled = settled
  }

  async function leaveRun(operation: JournaledOperation, marks: Mark[] = []): Promise<void> {
    const entries = [...stepEntries(marks), ...(operation.isRunning ? [{ type: 'left' as const }] : [])]
    if (entries.length === 0) return
    // First: this process goes on, whatever becomes of the entries.
    for (const entry of entries) applyEntry(operation, entry)
    await appendEntries(fileOf(operation.spec.name), entries, files)
  }

  /** In memory first: on a full disk it is undoing that makes room, and what is undone must not be gone on with. */
  async function noteUndoing(operation: JournaledOperation, entries: EntryOfOperation[]): Promise<void> {
    for (const entry of entries) applyEntry(operation, entry)
    await appendEntries(fileOf(operation.spec.name), entries, files)
  }

  for (const file of await readdir(jailDirectory)) {
    if (!file.endsWith('.ndjson')) continue
    const entries = (await recoverEntries(join(jailDirectory, file))).map((entry) => Entry.parse(entry))
    const jail = replay(entries)
    if (!jail) continue
    jails.set(jail.spec.name, jail)
    const report = jail.current && (await ended.find(jail.current))
    if (report) await settle(jail.spec.name, report)
  }

  return {
    jails: () => [...jails.values()],
    jail: (name: string) => jails.get(name),

    /** The last report of an operation's attempt that has ended here; its jail is settled, if a full disk kept it from that. */
    async endedReport(attempt: Attempt): Promise<OperationReport | undefined> {
      const report = await ended.find(attempt)
      const current = report && jails.get(report.jail)?.current
      if (current && isSameAttempt(current, attempt)) await settle(report.jail, report)
      return report
    },

    /** The last reports of the latest that have ended here, oldest first, one at a time. */
    latestReports: ended.latest,

    endedOperations: ended.allWithJobs,

    /** Whether this host has neither a jail nor had one lately. */
    isEmpty: () => jails.size === 0 && ended.isEmpty(),

    /** The highest epoch that this host has seen of a jail's name; an operation of a lower one came too late. */
    epochOf(name: string): number {
      const jail = jails.get(name)
      return Math.max(ended.epochOf(name), jail?.settled?.epoch ?? 0, jail?.current?.epoch ?? 0)
    },

    /** A worker picks an operation up: the first time it begins, later it goes on as it began. */
    async beginRun(job: JailJob, bootId: string): Promise<JournaledOperation> {
      const jail = jails.get(job.jail.name) ?? { spec: job.jail }
      const known = jail.current
      if (known && isSameAttempt(known, job)) {
        const entry = { type: 'run' as const, run: known.run + 1, bootId }
        await appendEntries(fileOf(job.jail.name), [entry], files)
        applyEntry(known, entry)
        return known
      }
      const { operation, kind, plan, epoch, attempt, origin } = job
      const begin = { operation, kind, plan, epoch, attempt, spec: job.jail, ...(origin ? { origin } : {}) }
      const entry = { type: 'run' as const, run: 1, bootId }
      const entries = [
        ...(jail.settled ? [{ type: 'jail', spec: job.jail, ...jail.settled }] : []),
        { type: 'begin', ...begin },
        entry,
      ]
      await replaceEntries(fileOf(job.jail.name), entries, files)
      // Only now: a disk that was full must not have it begin here and not there.
      const current = beginningOf(begin)
      applyEntry(current, entry)
      jails.set(job.jail.name, { ...jail, spec: job.jail, current })
      return current
    },

    /** Notes what becomes of steps, all in one flush. */
    async mark(operation: JournaledOperation, marks: Mark[]): Promise<void> {
      const entries = stepEntries(marks)
      await appendEntries(fileOf(operation.spec.name), entries, files)
      for (const entry of entries) applyEntry(operation, entry)
    },

    /** Notes that an operation is undone from now on, and why, with the marks that its run still has to note. */
    beginUndo: (operation: JournaledOperation, why: Undoing, marks: Mark[]): Promise<void> =>
      noteUndoing(operation, [...stepEntries(marks), { type: 'undoing' as const, ...why }]),

    /** Notes what became of undoing steps. */
    markUndo: (operation: JournaledOperation, marks: Mark[]): Promise<void> => noteUndoing(operation, stepEntries(marks)),

    /** A run goes no further, in order, with the marks that it still has to note. What ends the worker from now on was not the doing of this operation. */
    leaveRun,

    /** The same of all that are at work: the worker was told to stop. */
    async leaveRuns(): Promise<void> {
      await Promise.all([...jails.values()].map(({ current }) => current && leaveRun(current)))
    },

    /** How often an attempt has killed its worker, also just before this start. */
    killsOf(attempt: Attempt, name: string): number {
      const current = jails.get(name)?.current
      if (!current || !isSameAttempt(current, attempt)) return 0
      return current.kills + (current.isRunning ? 1 : 0)
    },

    /** An operation has ended, with its last report, and its jail is as that says. */
    async end(report: OperationReport): Promise<void> {
      const current = jails.get(report.jail)?.current
      await ended.add(report, current?.operation === report.operation ? JournaledJob.parse(current) : undefined)
      await settle(report.jail, report)
      await flushDirectory(jailDirectory)
    },

    /** How a jail between operations is to be from now on, as somebody at the host has made it. */
    async setWanted(name: string, wanted: 'running' | 'stopped', drift?: JournaledDrift): Promise<void> {
      const jail = jails.get(name)
      if (!jail?.settled || jail.current) throw new Error(`Jail ${name} is not between operations.`)
      const { drift: _, ...kept } = jail.settled
      await resettle(jail, { ...kept, wanted, ...(drift ? { drift } : {}) })
    },

    /** What an operation had left of a jail that stays is gone at last. */
    async forgetLeftovers(name: string): Promise<void> {
      const jail = jails.get(name)
      if (!jail?.settled || jail.current) throw new Error(`Jail ${name} is not between operations.`)
      const { left: _, ...kept } = jail.settled
      await resettle(jail, { ...kept, leftovers: [] })
    },

    /** What an undo had left of a jail is gone at last. */
    async forget(name: string): Promise<void> {
      if (!jails.has(name)) return
      await files.remove(fileOf(name))
      jails.delete(name)
    },
  }
}

function stepEntries(marks: Mark[]) {
  return marks.map((mark) => ({ type: 'step' as const, ...mark, at: new Date().toISOString() }))
}

function isSameAttempt(a: Attempt, b: Attempt): boolean {
  return a.operation === b.operation && a.epoch === b.epoch && a.attempt === b.attempt
}

/** The steps of an operation whose work stays on the host though it should not. */
function leftoversOf({ jailState, steps }: OperationReport, operation: JournaledOperation | undefined): string[] {
  // What takes a jail down or away undoes nothing: what it has not done is left.
  if (jailState === 'destroying' || (jailState === 'stopped' && operation?.kind === 'stop'))
    return steps.filter(({ status }) => status !== 'succeeded').map(({ name }) => name)
  return [...(operation?.steps ?? [])].filter(([, { mark }]) => mark === 'undo-failed').map(([step]) => step)
}
