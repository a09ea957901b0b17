import type { Logger } from 'pino'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import type { JournaledJail } from '../journal/entries.ts'
import type { Journal } from '../journal/journal.ts'
import { driftReasons, type reportDrift, type Unlinked } from './report-drift.ts'

type Deps = {
  host: Pick<HostRuntime, 'unlinkedJails'>
  journal: Pick<Journal, 'jails'>
  reporting: Pick<ReturnType<typeof reportDrift>, 'add' | 'now'>
  log: Pick<Logger, 'warn' | 'info'>
}

/**
 * Returns what looks for running jails whose link to the network somebody removed at the host. They run on, and a restart makes
 * the link anew. Only `unlinked` remembers them: the start of a worker makes their links, too.
 */
export function makeWatchLinks({ host, journal, reporting, log }: Deps, unlinked: Unlinked) {
  return async function lookAtLinks(running: Map<string, { jid: number }>): Promise<void> {
    const settled = journal.jails().filter((jail) => isToRun(jail) && running.has(jail.spec.name))
    const now = await host.unlinkedJails(settled.map(({ spec }) => spec))
    for (const { spec, settled: state } of settled) {
      const { name } = spec
      const jid = running.get(name)?.jid ?? null
      const epoch = state?.epoch ?? 0
      const known = unlinked.get(name)
      if (now.has(name) && known?.epoch !== epoch) {
        unlinked.set(name, { epoch, since: fleetTime().toISOString() })
        reporting.add(name, epoch, { jailState: 'running', jid, reason: driftReasons.unlinked })
        log.warn({ jail: name }, driftReasons.unlinked)
        void reporting.now()
      }
      if (!now.has(name) && unlinked.delete(name) && known?.epoch === epoch) {
        reporting.add(name, epoch, { jailState: 'running', jid })
        log.info({ jail: name }, 'a jail has its link to the network again')
        void reporting.now()
      }
    }
    // What an operation does to a jail is in its own reports.
    const names = new Set(settled.map(({ spec }) => spec.name))
    for (const name of unlinked.keys()) if (!names.has(name)) unlinked.delete(name)
  }
}

/**
 * Whether a jail runs, if it does, as it is wanted. Not while an operation is at work on it, nor after it was found otherwise; nor
 * what an operation could not take down.
 */
export function isToRun({ settled, current }: JournaledJail): boolean {
  return settled?.wanted === 'running' && !current && !settled.drift && settled.leftovers.length === 0
}
