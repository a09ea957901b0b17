import { mkdir, readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import pLimit from 'p-limit'
import { z } from 'zod'
import { type JailJob, JailSpec } from '#shared/job.ts'
import { JailOperationKind } from '#shared/operation.ts'
import { OperationReport } from '#shared/report.ts'
import { appendEntries, flushDirectory, recoverEntries, replaceEntries } from './journal-file.ts'

const StepEntry = z.object({
  type: z.literal('step'),
  step: z.string(),
  mark: z.enum(['started', 'succeeded', 'undone', 'undo-failed']),
  attempt: z.int(),
  at: z.iso.datetime(),
})
const RunEntry = z.object({ type: z.literal('run'), run: z.int(), bootId: z.string() })
const BeginEntry = z.object({
  type: z.literal('begin'),
  operation: z.uuid(),
  kind: JailOperationKind,
  plan: z.int(),
  epoch: z.int(),
  attempt: z.int(),
  spec: JailSpec,
})
/** How a jail was found that somebody stopped, or whose root somebody took, without an operation. */
const JournaledDrift = z.object({ found: z.enum(['stopped', 'gone']), since: z.iso.datetime() })
export type JournaledDrift = z.infer<typeof JournaledDrift>
/** A jail between operations. `leftovers`: steps of the last one whose undo failed; `drift`: until the next one has ended. */
const JailEntry = z.object({
  type: z.literal('jail'),
  epoch: z.int(),
  wanted: z.enum(['running', 'stopped', 'gone']),
  leftovers: z.array(z.string()),
  drift: JournaledDrift.optional(),
  spec: JailSpec,
})
const Entry = z.discriminatedUnion('type', [JailEntry, BeginEntry, RunEntry, StepEntry])
type Entry = z.infer<typeof Entry>

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
  steps: Map<string, JournaledStep>
}

export type JournaledJail = {
  spec: JailSpec
  /** What the last ended operation left; undefined while the first one is at work. */
  settled?: Omit<z.infer<typeof JailEntry>, 'type' | 'spec'>
  current?: JournaledOperation
}

export type Journal = Awaited<ReturnType<typeof openJournal>>

type Attempt = Pick<JailJob, 'operation' | 'epoch' | 'attempt'>

const keptMs = 30 * 24 * 3_600_000

/**
 * What a host knows of its jails, on its own disk: a file for each jail, with an entry for each event, flushed before
 * what follows it is done; and one file of the operations that have ended, which decides where a crash let the two differ.
 * Who writes of a jail holds its lock.
 */
export async function openJournal(directory: string) {
  const jailDirectory = join(directory, 'jails')
  const endedFile = join(directory, 'ended.ndjson')
  const jails = new Map<string, JournaledJail>()
  const ended = new Map<string, OperationReport>()
  const epochs = new Map<string, number>()
  const endedAppends = pLimit(1)

  const fileOf = (name: string) => join(jailDirectory, `${name}.ndjson`)
  const endedKey = ({ operation, epoch, attempt }: Attempt) => `${operation}/${epoch}/${attempt}`

  function remember(report: OperationReport): void {
    ended.set(endedKey(report), report)
    epochs.set(report.jail, Math.max(report.epoch, epochs.get(report.jail) ?? 0))
  }

  /** Brings a jail's file to what its ended operation left: removed when nothing of the jail is on the host. */
  async function settle(name: string, report: OperationReport): Promise<void> {
    const jail = jails.get(name)
    if (!jail) return
    const leftovers = [...(jail.current?.steps ?? [])].filter(([, { mark }]) => mark === 'undo-failed').map(([step]) => step)
    const untouched = report.jailState === 'unchanged'
    const gone = report.jailState === 'gone' || report.jailState === 'failed'
    if ((gone && leftovers.length === 0) || (untouched && !jail.settled)) {
      jails.delete(name)
      await unlink(fileOf(name))
      return
    }
    const wanted = gone ? 'gone' : report.jailState === 'running' ? 'running' : 'stopped'
    jail.settled =
      untouched && jail.settled ? { ...jail.settled, epoch: report.epoch } : { epoch: report.epoch, wanted, leftovers }
    delete jail.current
    await replaceEntries(fileOf(name), [{ type: 'jail', spec: jail.spec, ...jail.settled }])
  }

  await mkdir(jailDirectory, { recursive: true, mode: 0o700 })
  const reports = (await recoverEntries(endedFile)).map((entry) => OperationReport.parse(entry))
  const kept = reports.filter((report) => Date.now() - Date.parse(report.at) < keptMs)
  for (const report of kept) remember(report)
  if (kept.length < reports.length) await replaceEntries(endedFile, kept)

  for (const file of await readdir(jailDirectory)) {
    if (!file.endsWith('.ndjson')) continue
    const entries = (await recoverEntries(join(jailDirectory, file))).map((entry) => Entry.parse(entry))
    const jail = replay(entries)
    if (!jail) continue
    jails.set(jail.spec.name, jail)
    const report = jail.current && ended.get(endedKey(jail.current))
    if (report) await settle(jail.spec.name, report)
  }

  return {
    jails: () => [...jails.values()],
    jail: (name: string) => jails.get(name),

    /** The last report of an operation's attempt that has ended here. */
    endedReport: (attempt: Attempt) => ended.get(endedKey(attempt)),

    /** The last reports of all that has ended here, oldest first. */
    endedReports: () => [...ended.values()],

    /** The highest epoch that this host has seen of a jail's name; an operation of a lower one came too late. */
    epochOf(name: string): number {
      const jail = jails.get(name)
      return Math.max(epochs.get(name) ?? 0, jail?.settled?.epoch ?? 0, jail?.current?.epoch ?? 0)
    },

    /** A worker picks an operation up: the first time it begins, later it goes on as it began. */
    async beginRun(job: JailJob, bootId: string): Promise<JournaledOperation> {
      const jail = jails.get(job.jail.name) ?? { spec: job.jail }
      const known = jail.current
      if (known && endedKey(known) === endedKey(job)) {
        known.run += 1
        known.bootId = bootId
        await appendEntries(fileOf(job.jail.name), [{ type: 'run', run: known.run, bootId }])
        return known
      }
      const { operation, kind, plan, epoch, attempt } = job
      const begin = { operation, kind, plan, epoch, attempt, spec: job.jail }
      await replaceEntries(fileOf(job.jail.name), [
        ...(jail.settled ? [{ type: 'jail', spec: job.jail, ...jail.settled }] : []),
        { type: 'begin', ...begin },
        { type: 'run', run: 1, bootId },
      ])
      // Only now: a disk that was full must not have it begin here and not there.
      const current = { ...begin, run: 1, bootId, steps: new Map() }
      jails.set(job.jail.name, { ...jail, spec: job.jail, current })
      return current
    },

    /** Notes what becomes of steps, all in one flush. */
    async mark(operation: JournaledOperation, marks: { step: string; mark: StepMark; attempt: number }[]): Promise<void> {
      const entries = marks.map((mark) => ({ type: 'step' as const, ...mark, at: new Date().toISOString() }))
      await appendEntries(fileOf(operation.spec.name), entries)
      for (const entry of entries) applyMark(operation, entry)
    },

    /** An operation has ended, with its last report, and its jail is as that says. */
    async end(report: OperationReport): Promise<void> {
      await endedAppends(() => appendEntries(endedFile, [report]))
      remember(report)
      await settle(report.jail, report)
      await flushDirectory(jailDirectory)
    },

    /** How a jail between operations is to be from now on, as somebody at the host has made it. */
    async setWanted(name: string, wanted: 'running' | 'stopped', drift?: JournaledDrift): Promise<void> {
      const jail = jails.get(name)
      if (!jail?.settled || jail.current) throw new Error(`Jail ${name} is not between operations.`)
      const { epoch, leftovers } = jail.settled
      const settled = { epoch, wanted, leftovers, ...(drift ? { drift } : {}) }
      await replaceEntries(fileOf(name), [{ type: 'jail', spec: jail.spec, ...settled }])
      jail.settled = settled
    },

    /** What an undo had left of a jail is gone at last. */
    async forget(name: string): Promise<void> {
      if (jails.delete(name)) await unlink(fileOf(name))
    },
  }
}

function replay(entries: Entry[]): JournaledJail | undefined {
  let jail: JournaledJail | undefined
  for (const entry of entries) {
    if (entry.type === 'jail') {
      const { type: _, spec, ...settled } = entry
      jail = { spec, settled }
    } else if (entry.type === 'begin') {
      const { type: _, ...begin } = entry
      jail = { ...jail, spec: entry.spec, current: { ...begin, run: 0, bootId: '', steps: new Map() } }
    } else if (jail?.current && entry.type === 'run') {
      Object.assign(jail.current, { run: entry.run, bootId: entry.bootId })
    } else if (jail?.current && entry.type === 'step') {
      applyMark(jail.current, entry)
    }
  }
  return jail
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
