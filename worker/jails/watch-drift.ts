import type { Logger } from 'pino'
import type { Drift } from '#shared/host.ts'
import type { JailReport } from '#shared/report.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import type { JournaledDrift, JournaledJail } from '../journal/entries.ts'
import type { Journal } from '../journal/journal.ts'
import type { DriftNotes } from '../reports/host-notes.ts'
import { type SettledJail, takeDown } from './revive-jails.ts'

type Deps = {
  hostId: string
  host: HostRuntime
  journal: Journal
  withJail<T>(name: string, work: () => Promise<T>): Promise<T>
  send(report: JailReport): Promise<void>
  /** The host's notes for the fleet. */
  drift: Pick<DriftNotes, 'note' | 'forget' | 'entries'>
  /** Ends when every jail that is to run was started again, with those that could not be. No look before. */
  revived: Promise<SettledJail[]>
  log: Logger
  everyMs?: number
}

export const driftReasons: Record<JournaledDrift['found'], string> = {
  stopped: 'It was stopped on its host, not through Provost.',
  gone: 'Its root is gone from its host.',
}

/**
 * Sees which jails somebody stopped, started or removed at the host without an operation. The journal is brought to what is
 * there and has it first; from it the fleet is told, again and again until Redis has taken it. Gives what ends that.
 */
export function watchDrift(deps: Deps): () => void {
  const { host, journal, withJail, log, everyMs = 10_000 } = deps
  /** By jail, what the fleet was not told yet. */
  const untold = new Map<string, JailReport>()
  /** By jail, the epoch in which it was seen to. */
  const seenTo = new Map<string, number>()
  /** By jail, the epoch in which it is to run and could not be started: that it does not run is known. */
  const notRevived = new Map<string, number>()
  const atWork = new Set<string>()
  let telling = false
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  async function look(): Promise<void> {
    const running = await host.listJails()
    for (const jail of journal.jails()) {
      const { name } = jail.spec
      if (atWork.has(name) || !needsCare(jail, running.has(name))) continue
      atWork.add(name)
      // Not waited for: an operation may have the jail's lock for long, and the other jails are looked at again meanwhile.
      void withJail(name, () => seeTo(name))
        .catch((error) => log.error({ err: error, jail: name }, 'how a jail really is could not be noted'))
        .then(() => {
          atWork.delete(name)
          void tell()
        })
    }
    void tell()
  }

  function needsCare({ spec, settled, current }: JournaledJail, isRunning: boolean): boolean {
    // What an operation has left is to be taken down, not to be told as started by hand.
    if (!settled || current || settled.wanted === 'gone' || settled.leftovers.length > 0) return false
    const isKnown = settled.drift === undefined || seenTo.get(spec.name) === settled.epoch
    return isRunning !== isToRun(spec.name, settled) || !isKnown
  }

  const isToRun = (name: string, { wanted, epoch }: { wanted: string; epoch: number }) =>
    wanted === 'running' && notRevived.get(name) !== epoch

  /** With the jail's lock: all that was seen before may have changed. */
  async function seeTo(name: string): Promise<void> {
    const jail = journal.jail(name)
    const found = jail && (await host.findJail(jail.spec))
    if (stopped || !jail?.settled || !needsCare(jail, found !== undefined)) return
    const { epoch } = jail.settled
    if (found) {
      notRevived.delete(name)
      if (jail.settled.wanted !== 'running') await journal.setWanted(name, 'running')
      untold.set(name, reportOf(name, epoch, { jailState: 'running', jid: found.jid }))
      log.warn({ jail: name, jid: found.jid }, 'a jail was started on its host, not through Provost')
      return
    }
    const drift = jail.settled.drift ?? (await driftOf(jail))
    // First: it is not to be started at the next boot, even if this worker is killed here. The next one takes down the rest.
    if (jail.settled.drift === undefined) await journal.setWanted(name, 'stopped', drift)
    await takeDown(jail.spec, deps)
    seenTo.set(name, epoch)
    const jailState = drift.found === 'gone' ? 'failed' : 'stopped'
    untold.set(name, reportOf(name, epoch, { jailState, jid: null, reason: driftReasons[drift.found] }))
    log.warn({ jail: name, found: drift.found }, driftReasons[drift.found])
  }

  async function driftOf({ spec }: JournaledJail): Promise<JournaledDrift> {
    return { found: (await host.hasRoot(spec)) ? 'stopped' : 'gone', since: new Date().toISOString() }
  }

  function reportOf(jail: string, epoch: number, how: Pick<JailReport, 'jailState' | 'jid' | 'reason'>): JailReport {
    return { type: 'jail', host: deps.hostId, jail, epoch, at: new Date().toISOString(), ...how }
  }

  /** Never throws. Once at a time: while Redis is away, what is sent waits for it, and is not to be sent again meanwhile. */
  async function tell(): Promise<void> {
    if (telling) return
    telling = true
    try {
      await sendUntold()
      await noteDrift()
    } catch (error) {
      log.warn({ err: error }, 'the fleet could not be told how jails really are; it is tried again')
    } finally {
      telling = false
    }
  }

  async function sendUntold(): Promise<void> {
    for (const [name, report] of untold) {
      // What an operation made of the jail since is told by its own reports.
      if (journal.epochOf(name) === report.epoch) await deps.send(report)
      if (untold.get(name) === report) untold.delete(name)
    }
  }

  /**
   * Brings the notes to what the journal has. Those of a jail that an operation is at work on stay until it has ended, and
   * that the fleet does not know a jail is more than how it was found.
   */
  async function noteDrift(): Promise<void> {
    const noted = deps.drift.entries()
    for (const { spec, settled } of journal.jails()) {
      const { name: jail } = spec
      const drift = settled?.drift
      if (drift && needsNote(noted.get(jail), drift)) await deps.drift.note({ ...drift, jail, reason: driftReasons[drift.found] })
    }
    for (const [name, entry] of [...noted])
      if (entry.found !== 'orphan' && !journal.jail(name)?.settled?.drift) await deps.drift.forget(name)
  }

  function schedule(): void {
    if (stopped) return
    timer = setTimeout(async () => {
      await look().catch((error) => log.error({ err: error }, 'the jails of this host could not be looked at'))
      schedule()
    }, everyMs)
  }

  void deps.revived.then(
    (down) => {
      for (const { spec, epoch } of down) notRevived.set(spec.name, epoch)
      schedule()
    },
    () => schedule(),
  )
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}

function needsNote(entry: Drift | undefined, { found, since }: JournaledDrift): boolean {
  return entry?.found !== 'orphan' && !(entry?.found === found && entry.since === since)
}
