import type { Logger } from 'pino'
import type { Repeat } from '#shared/process/repeat.ts'
import type { JailReport } from '#shared/report.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import type { JournaledDrift, JournaledJail } from '../journal/entries.ts'
import type { Journal } from '../journal/journal.ts'
import type { DriftNotes } from '../reports/host-notes.ts'
import { type SettledJail, takeDown } from './revive-jails.ts'
import { driftReasons, tellDrift } from './tell-drift.ts'

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
  repeat: Repeat
  log: Logger
  everyMs: number
}

/**
 * Sees which jails somebody stopped, started or removed at the host without an operation. The journal is brought to what is
 * there and has it first; from it the fleet is told.
 */
export function watchDrift(deps: Deps) {
  const { host, journal, withJail, log } = deps
  const telling = tellDrift(deps)
  /** By jail, the epoch in which it was seen to. */
  const seenTo = new Map<string, number>()
  /** By jail, the epoch in which it is to run and could not be started: that it does not run is known. */
  const notRevived = new Map<string, number>()
  const atWork = new Set<string>()
  let areRevived = false
  let isStopped = false

  async function look(): Promise<void> {
    if (!areRevived) return
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
          void telling.now()
        })
    }
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
    const running = jail && (await host.findJail(jail.spec))
    if (isStopped || !jail?.settled || !needsCare(jail, running !== undefined)) return
    const { epoch } = jail.settled
    if (running) {
      notRevived.delete(name)
      if (jail.settled.wanted !== 'running') await journal.setWanted(name, 'running')
      telling.add(name, epoch, { jailState: 'running', jid: running.jid })
      log.warn({ jail: name, jid: running.jid }, 'a jail was started on its host, not through Provost')
      return
    }
    const drift = jail.settled.drift ?? (await driftOf(jail))
    // First: it is not to be started at the next boot, even if this worker is killed here. The next one takes down the rest.
    if (jail.settled.drift === undefined) await journal.setWanted(name, 'stopped', drift)
    await takeDown(jail.spec, deps)
    seenTo.set(name, epoch)
    const jailState = drift.found === 'gone' ? 'failed' : 'stopped'
    telling.add(name, epoch, { jailState, jid: null, reason: driftReasons[drift.found] })
    log.warn({ jail: name, found: drift.found }, driftReasons[drift.found])
  }

  async function driftOf({ spec }: JournaledJail): Promise<JournaledDrift> {
    return { found: (await host.hasRoot(spec)) ? 'stopped' : 'gone', since: new Date().toISOString() }
  }

  void deps.revived
    .then((down) => {
      for (const { spec, epoch } of down) notRevived.set(spec.name, epoch)
    })
    .catch(() => undefined)
    .then(() => {
      areRevived = true
    })
  const looking = deps.repeat('watch-drift', deps.everyMs, look)
  return {
    name: looking.name,
    async stop(): Promise<void> {
      isStopped = true
      await looking.stop()
      await telling.stop()
    },
  }
}
