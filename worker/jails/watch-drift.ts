import type { Logger } from 'pino'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import type { JournaledDrift, JournaledJail } from '../journal/entries.ts'
import type { RunDeps } from '../plans/run.ts'
import { takeDown } from './remove-jail.ts'
import { driftReasons, type ReportDeps, reportDrift, type Unlinked } from './report-drift.ts'
import type { SettledJail } from './revive-jails.ts'
import { type RunningJail, watchCommands } from './watch-commands.ts'
import { isToRun, makeWatchLinks } from './watch-links.ts'

type Deps = Omit<ReportDeps, 'died'> &
  Pick<RunDeps, 'host' | 'journal' | 'withJail'> & {
    /** Settles once every jail that is wanted running was started again, with those that could not be. No look before that. */
    revived: Promise<SettledJail[]>
    /** The id of the fleet that has the records. */
    fleet(): string | undefined
    log: Logger
  }

/**
 * Watches for jails that somebody stopped, started, removed or took off the network at the host without an operation. The journal
 * is brought up to what is there first; from it the fleet gets its report. A running jail whose command has failed is drift, too.
 */
export function watchDrift(deps: Deps) {
  const { host, journal, withJail, log } = deps
  const unlinked: Unlinked = new Map()
  const commands = watchCommands({ ...deps, report: (...report) => reporting.add(...report) })
  const reporting = reportDrift({ ...deps, died: commands.died }, unlinked)
  const lookAtLinks = makeWatchLinks({ host, journal, reporting, log }, unlinked)
  /** By jail, the epoch in which its drift was handled by this worker. */
  const handled = new Map<string, number>()
  /** By jail, the epoch in which it is wanted running and could not be started: that it does not run is known. */
  const notRevived = new Map<string, number>()
  const atWork = new Set<string>()
  let areRevived = false
  let isStopped = false

  async function look(): Promise<void> {
    if (!areRevived) return
    const running = await host.listJails()
    for (const jail of journal.jails()) {
      const { name } = jail.spec
      if (atWork.has(name) || !needsHandling(jail, running.has(name))) continue
      atWork.add(name)
      // Not waited for: an operation may have the jail's lock for long, and the other jails are looked at again meanwhile.
      void withJail(name, () => handle(name))
        .catch((error) => log.error({ err: error, jail: name }, 'how a jail really is could not be noted'))
        .then(() => {
          atWork.delete(name)
          void reporting.now()
        })
    }
    await lookAtLinks(running)
    await commands.look(runningOf(running))
  }

  const runningOf = (running: Map<string, { jid: number }>): RunningJail[] =>
    journal.jails().flatMap((jail) => {
      const jid = running.get(jail.spec.name)?.jid
      return jid !== undefined && isToRun(jail) ? [{ spec: jail.spec, epoch: jail.settled?.epoch ?? 0, jid }] : []
    })

  function needsHandling({ spec, settled, current }: JournaledJail, isRunning: boolean): boolean {
    // Leftovers of an operation are removed, not reported as started by hand.
    if (!settled || current || settled.wanted === 'gone' || settled.leftovers.length > 0) return false
    const isKnown = settled.drift === undefined || handled.get(spec.name) === settled.epoch
    return isRunning !== shouldRun(spec.name, settled) || !isKnown
  }

  const shouldRun = (name: string, { wanted, epoch }: { wanted: string; epoch: number }) =>
    wanted === 'running' && notRevived.get(name) !== epoch

  /** Runs with the jail's lock: all that was seen before may have changed. */
  async function handle(name: string): Promise<void> {
    const jail = journal.jail(name)
    const running = jail && (await host.findJail(jail.spec))
    if (isStopped || !jail?.settled || !needsHandling(jail, running !== undefined)) return
    const { epoch } = jail.settled
    if (running) {
      notRevived.delete(name)
      if (jail.settled.wanted !== 'running') await journal.setWanted(name, 'running')
      reporting.add(name, epoch, { jailState: 'running', jid: running.jid })
      log.warn({ jail: name, jid: running.jid }, 'a jail was started on its host, not through Provost')
      return
    }
    const drift = jail.settled.drift ?? (await driftOf(jail, host))
    // Noted first: the next boot must not start it, even if this worker is killed here. The next worker takes down the rest.
    if (jail.settled.drift === undefined) await journal.setWanted(name, 'stopped', drift)
    await takeDown(jail.spec, deps)
    handled.set(name, epoch)
    const jailState = drift.found === 'gone' ? 'failed' : 'stopped'
    reporting.add(name, epoch, { jailState, jid: null, reason: driftReasons[drift.found] })
    log.warn({ jail: name, found: drift.found }, driftReasons[drift.found])
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
  function halt(): void {
    isStopped = true
    looking.halt()
  }
  return {
    name: looking.name,
    halt,
    async stop(): Promise<void> {
      halt()
      await looking.stop()
      await reporting.stop()
    },
  }
}

async function driftOf({ spec }: JournaledJail, host: HostRuntime): Promise<JournaledDrift> {
  return { found: (await host.hasRoot(spec)) ? 'stopped' : 'gone', since: fleetTime().toISOString() }
}
