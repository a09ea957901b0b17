import type { Drift } from '#shared/host.ts'
import type { Repeat } from '#shared/process/repeat.ts'
import type { JailReport } from '#shared/report.ts'
import type { JournaledDrift } from '../journal/entries.ts'
import type { Journal } from '../journal/journal.ts'
import type { DriftNotes } from '../reports/host-notes.ts'

export type ReportDeps = {
  hostId: string
  journal: Pick<Journal, 'epochOf' | 'jail' | 'jails'>
  send(report: JailReport): Promise<void>
  /** This host's notes for the fleet. */
  drift: Pick<DriftNotes, 'note' | 'forget' | 'entries'>
  repeat: Repeat
  everyMs: number
}

/** By jail, in which epoch and since when it runs without its link. */
export type Unlinked = Map<string, { epoch: number; since: string }>

export const driftReasons: Record<JournaledDrift['found'] | 'unlinked', string> = {
  stopped: 'It was stopped on its host, not through Provost.',
  gone: 'Its root is gone from its host.',
  unlinked: 'Its link to the network was removed on its host, not through Provost; a restart makes it anew.',
}

/** Reports to the fleet how jails really are, again and again until Redis has taken it. `unlinked`: what no journal has. */
export function reportDrift({ hostId, journal, send, drift, repeat, everyMs }: ReportDeps, unlinked: Unlinked) {
  /** By jail. */
  const unsent = new Map<string, JailReport>()

  async function sendUnsent(): Promise<void> {
    for (const [name, report] of unsent) {
      // What a later operation did to the jail is in its own reports.
      if (journal.epochOf(name) === report.epoch) await send(report)
      if (unsent.get(name) === report) unsent.delete(name)
    }
  }

  /**
   * Brings the notes up to the journal. The note of a jail stays while an operation runs on it, and that a jail is an orphan is
   * worth more than how else it was found.
   */
  async function writeNotes(): Promise<void> {
    const noted = drift.entries()
    for (const { spec } of journal.jails()) {
      const now = driftOf(spec.name)
      if (now && needsNote(noted.get(spec.name), now))
        await drift.note({ ...now, jail: spec.name, reason: driftReasons[now.found] })
    }
    for (const [name, entry] of [...noted]) if (entry.found !== 'orphan' && !driftOf(name)) await drift.forget(name)
  }

  function driftOf(name: string): Noted | undefined {
    const since = unlinked.get(name)?.since
    return journal.jail(name)?.settled?.drift ?? (since === undefined ? undefined : { found: 'unlinked', since })
  }

  const reporting = repeat('report-drift', everyMs, async () => {
    await sendUnsent()
    await writeNotes()
  })
  return {
    /** Takes how a jail was found in an epoch, for the next pass. */
    add(jail: string, epoch: number, how: Pick<JailReport, 'jailState' | 'jid' | 'reason'>): void {
      unsent.set(jail, { type: 'jail', host: hostId, jail, epoch, at: new Date().toISOString(), ...how })
    },
    now: reporting.now,
    stop: reporting.stop,
  }
}

type Noted = { found: JournaledDrift['found'] | 'unlinked'; since: string }

function needsNote(entry: Drift | undefined, { found, since }: Noted): boolean {
  return entry?.found !== 'orphan' && !(entry?.found === found && entry.since === since)
}
