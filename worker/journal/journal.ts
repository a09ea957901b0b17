import { join } from 'node:path'
import type { OperationReport } from '#shared/report.ts'
import { type Attempt, openEndedOperations } from './ended-operations.ts'
import { type JournaledDrift, type JournaledJail, JournaledJob, type JournaledOperation } from './entries.ts'
import { journalFiles } from './file.ts'
import { openJailFiles } from './jail-files.ts'
import { isSameAttempt, makeRuns } from './runs.ts'

export type Journal = Awaited<ReturnType<typeof openJournal>>

type Settled = NonNullable<JournaledJail['settled']>

/**
 * What a host knows of its jails, on its own disk: a file for each jail, with an entry for each event, flushed before
 * what follows it is done; and one file of the operations that have ended, which decides where a crash let the two differ.
 * Who writes of a jail holds its lock.
 */
export async function openJournal(directory: string, files = journalFiles) {
  const jails = await openJailFiles(join(directory, 'jails'), files)
  const ended = await openEndedOperations(join(directory, 'ended.ndjson'), files)

  /** Brings a jail's file to what its ended operation left: removed when nothing of the jail is on the host. */
  async function settle(report: OperationReport): Promise<void> {
    const jail = jails.get(report.jail)
    if (!jail) return
    const settled = settledBy(report, jail)
    await (settled ? resettle(jail, settled) : jails.remove(report.jail))
  }

  async function resettle({ spec }: JournaledJail, settled: Settled): Promise<void> {
    await jails.replace({ spec, settled }, [{ type: 'jail', spec, ...settled }])
  }

  /** @throws Error when an operation is at the jail, or has been at none. */
  function betweenOperations(name: string): JournaledJail & { settled: Settled } {
    const jail = jails.get(name)
    if (!jail?.settled || jail.current) throw new Error(`Jail ${name} is not between operations.`)
    return { ...jail, settled: jail.settled }
  }

  for (const { current } of jails.all()) {
    const report = current && (await ended.find(current))
    if (report) await settle(report)
  }

  return {
    ...makeRuns(jails),
    jails: jails.all,
    jail: jails.get,

    /** The last report of an operation's attempt that has ended here; its jail is settled, if a full disk kept it from that. */
    async endedReport(attempt: Attempt): Promise<OperationReport | undefined> {
      const report = await ended.find(attempt)
      const current = report && jails.get(report.jail)?.current
      if (current && isSameAttempt(current, attempt)) await settle(report)
      return report
    },

    /** The last reports of the latest that have ended here, oldest first, one at a time. */
    latestReports: ended.latest,

    endedOperations: ended.allWithJobs,

    /** Whether this host has neither a jail nor had one lately. */
    isEmpty: () => jails.all().length === 0 && ended.isEmpty(),

    /** The highest epoch that this host has seen of a jail's name; an operation of a lower one came too late. */
    epochOf(name: string): number {
      const jail = jails.get(name)
      return Math.max(ended.epochOf(name), jail?.settled?.epoch ?? 0, jail?.current?.epoch ?? 0)
    },

    /** An operation has ended, with its last report, and its jail is as that says. */
    async end(report: OperationReport): Promise<void> {
      const current = jails.get(report.jail)?.current
      await ended.add(report, current?.operation === report.operation ? JournaledJob.parse(current) : undefined)
      await settle(report)
      await jails.flush()
    },

    /** How a jail between operations is to be from now on, as somebody at the host has made it. */
    async setWanted(name: string, wanted: 'running' | 'stopped', drift?: JournaledDrift): Promise<void> {
      const jail = betweenOperations(name)
      const { drift: _, ...kept } = jail.settled
      await resettle(jail, { ...kept, wanted, ...(drift ? { drift } : {}) })
    },

    /** What an operation had left of a jail that stays is gone at last. */
    async forgetLeftovers(name: string): Promise<void> {
      const jail = betweenOperations(name)
      const { left: _, ...kept } = jail.settled
      await resettle(jail, { ...kept, leftovers: [] })
    },

    /** What an undo had left of a jail is gone at last. */
    async forget(name: string): Promise<void> {
      if (jails.get(name)) await jails.remove(name)
    },
  }
}

/** Returns what an ended operation leaves of its jail; undefined when nothing of it is on the host. */
function settledBy(report: OperationReport, { settled, current }: JournaledJail): Settled | undefined {
  const { epoch, at, jailState, error } = report
  const leftovers = leftoversOf(report, current)
  const isGone = ['gone', 'failed', 'destroying'].includes(jailState)
  if (isGone && leftovers.length === 0) return undefined
  if (jailState === 'unchanged') return settled && { ...settled, epoch }
  const wanted = isGone ? 'gone' : jailState === 'running' ? 'running' : 'stopped'
  return { epoch, wanted, leftovers, ...(leftovers.length > 0 ? { left: { since: at, error: error?.message ?? '' } } : {}) }
}

/** The steps of an operation whose work stays on the host though it should not. */
function leftoversOf({ jailState, steps }: OperationReport, operation: JournaledOperation | undefined): string[] {
  // What takes a jail down or away undoes nothing: what it has not done is left.
  if (jailState === 'destroying' || (jailState === 'stopped' && operation?.kind === 'stop'))
    return steps.filter(({ status }) => status !== 'succeeded').map(({ name }) => name)
  return [...(operation?.steps ?? [])].filter(([, { mark }]) => mark === 'undo-failed').map(([step]) => step)
}
