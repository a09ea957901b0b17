import { join } from 'node:path'
import { onlyGoesForward } from '#shared/operation.ts'
import type { OperationReport } from '#shared/report.ts'
import { type Attempt, openEndedOperations } from './ended-operations.ts'
import { type JournaledDrift, type JournaledJail, JournaledJob, type JournaledOperation } from './entries.ts'
import { journalFiles } from './file.ts'
import { openJailFiles } from './jail-files.ts'
import { isSameAttempt, makeRuns } from './runs.ts'
import type { AsideLog } from './set-aside.ts'

export type Journal = Awaited<ReturnType<typeof openJournal>>

type Settled = NonNullable<JournaledJail['settled']>

/**
 * Opens what a host knows of its jails, on its own disk: a file for each jail, with an entry for each event, flushed before
 * the next thing is done; and one file of the operations that have ended, which decides where a crash made the two differ.
 * Only who has a jail's lock may write about it.
 */
export async function openJournal(directory: string, log: AsideLog, files = journalFiles) {
  const jails = await openJailFiles(join(directory, 'jails'), files, log)
  const ended = await openEndedOperations(join(directory, 'ended.ndjson'), log, files)

  /** Brings a jail's file up to the end of its operation; removes it when nothing of the jail is on the host. */
  async function settle(report: OperationReport): Promise<void> {
    const jail = jails.get(report.jail)
    if (!jail) return
    const settled = settledBy(report, jail)
    await (settled ? resettle(jail, settled) : jails.remove(report.jail))
  }

  async function resettle({ spec }: JournaledJail, settled: Settled): Promise<void> {
    await jails.replace({ spec, settled }, [{ type: 'jail', spec, ...settled }])
  }

  for (const { current } of jails.all()) {
    const report = current && (await ended.find(current))
    if (report) await settle(report)
  }

  return {
    ...makeRuns(jails),
    jails: jails.all,
    jail: jails.get,

    /**
     * Returns the last report of an attempt; undefined when it has not ended here. Also settles its jail, should a full disk have
     * kept it from that.
     */
    async endedReport(attempt: Attempt): Promise<OperationReport | undefined> {
      const report = await ended.find(attempt)
      const current = report && jails.get(report.jail)?.current
      if (current && isSameAttempt(current, attempt)) await settle(report)
      return report
    },

    latestReports: ended.latest,
    dropOld: ended.dropOld,
    endedOperations: ended.allWithJobs,

    /** Whether this host has no jail and had none lately. */
    isEmpty: () => jails.all().length === 0 && ended.isEmpty(),

    /** The highest epoch that this host has seen for a jail's name; an operation of a lower one comes too late. */
    epochOf(name: string): number {
      const jail = jails.get(name)
      return Math.max(ended.epochOf(name), jail?.settled?.epoch ?? 0, jail?.current?.epoch ?? 0)
    },

    /** The highest epoch that this host has seen of any jail. */
    highestEpoch(): number {
      const ofJails = jails.all().map(({ settled, current }) => Math.max(settled?.epoch ?? 0, current?.epoch ?? 0))
      return ofJails.reduce((most, epoch) => Math.max(most, epoch), ended.highestEpoch())
    },
    /** Whether it has the jail of a provision, or that nothing is left of that. */
    accountsFor: (name: string, provision: string) =>
      jails.get(name)?.spec.provision === provision || ended.isGone(name, provision),

    /** By jail, the file of it that could not be read and was set aside. */
    setAside: jails.setAside,

    /** Notes that an operation has ended, with its last report, and that its jail is as that says. */
    async end(report: OperationReport): Promise<void> {
      const current = jails.get(report.jail)?.current
      await ended.add(report, current?.operation === report.operation ? JournaledJob.parse(current) : undefined)
      await settle(report)
      await jails.flush()
    },

    /** Notes how a jail between operations is wanted from now on, as somebody at the host has made it. */
    async setWanted(name: string, wanted: 'running' | 'stopped', drift?: JournaledDrift): Promise<void> {
      const jail = betweenOperations(name, jails.get(name))
      const { drift: _, ...kept } = jail.settled
      await resettle(jail, { ...kept, wanted, ...(drift ? { drift } : {}) })
    },

    /** Notes that an operation was refused and has left a jail as it was: the fleet takes reports of its epoch from now on. */
    async noteRefused(name: string, epoch: number): Promise<void> {
      const jail = betweenOperations(name, jails.get(name))
      await resettle(jail, { ...jail.settled, epoch })
    },

    /** Notes that the leftovers of a jail that stays are gone. */
    async forgetLeftovers(name: string): Promise<void> {
      const jail = betweenOperations(name, jails.get(name))
      const { left: _, ...kept } = jail.settled
      await resettle(jail, { ...kept, leftovers: [] })
    },

    /** Forgets a jail whose leftovers are gone. */
    async forget(name: string): Promise<void> {
      if (jails.get(name)) await jails.remove(name)
    },
  }
}

/** @throws Error when an operation runs on the jail, or none ever did. */
function betweenOperations(name: string, jail: JournaledJail | undefined): JournaledJail & { settled: Settled } {
  if (!jail?.settled || jail.current) throw new Error(`Jail ${name} is not between operations.`)
  return { ...jail, settled: jail.settled }
}

/** Returns what an ended operation leaves of its jail; undefined when nothing of the jail is on the host. */
function settledBy(report: OperationReport, { settled, current }: JournaledJail): Settled | undefined {
  const { epoch, at, jailState, error } = report
  const leftovers = leftoversOf(report, current)
  const isGone = ['gone', 'failed', 'destroying'].includes(jailState)
  if (isGone && leftovers.length === 0) return undefined
  if (jailState === 'unchanged') return settled && { ...settled, epoch }
  const wanted = isGone ? 'gone' : jailState === 'running' ? 'running' : 'stopped'
  return { epoch, wanted, leftovers, ...(leftovers.length > 0 ? { left: { since: at, error: error?.message ?? '' } } : {}) }
}

/** Returns the steps of an operation whose work stays on the host though it should not. */
function leftoversOf({ jailState, steps }: OperationReport, operation: JournaledOperation | undefined): string[] {
  // What is not undone and not done is left, unless the jail runs on.
  if (operation && onlyGoesForward(operation.kind) && jailState !== 'running')
    return steps.filter(({ status }) => status !== 'succeeded').map(({ name }) => name)
  return [...(operation?.steps ?? [])].filter(([, { mark }]) => mark === 'undo-failed').map(([step]) => step)
}
