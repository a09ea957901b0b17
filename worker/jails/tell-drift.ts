import type { Drift } from '#shared/host.ts'
import type { Repeat } from '#shared/process/repeat.ts'
import type { JailReport } from '#shared/report.ts'
import type { JournaledDrift } from '../journal/entries.ts'
import type { Journal } from '../journal/journal.ts'
import type { DriftNotes } from '../reports/host-notes.ts'

type Deps = {
  hostId: string
  journal: Pick<Journal, 'epochOf' | 'jail' | 'jails'>
  send(report: JailReport): Promise<void>
  /** The host's notes for the fleet. */
  drift: Pick<DriftNotes, 'note' | 'forget' | 'entries'>
  repeat: Repeat
  everyMs: number
}

export const driftReasons: Record<JournaledDrift['found'], string> = {
  stopped: 'It was stopped on its host, not through Provost.',
  gone: 'Its root is gone from its host.',
}

/** Tells the fleet how jails really are, again and again until Redis has taken it. */
export function tellDrift({ hostId, journal, send, drift, repeat, everyMs }: Deps) {
  /** By jail, what the fleet was not told yet. */
  const untold = new Map<string, JailReport>()

  async function sendUntold(): Promise<void> {
    for (const [name, report] of untold) {
      // What an operation made of the jail since is told by its own reports.
      if (journal.epochOf(name) === report.epoch) await send(report)
      if (untold.get(name) === report) untold.delete(name)
    }
  }

  /**
   * Brings the notes to what the journal has. Those of a jail that an operation is at work on stay until it has ended, and
   * that the fleet does not know a jail is more than how it was found.
   */
  async function writeNotes(): Promise<void> {
    const noted = drift.entries()
    for (const { spec, settled } of journal.jails()) {
      const { name: jail } = spec
      const now = settled?.drift
      if (now && needsNote(noted.get(jail), now)) await drift.note({ ...now, jail, reason: driftReasons[now.found] })
    }
    for (const [name, entry] of [...noted])
      if (entry.found !== 'orphan' && !journal.jail(name)?.settled?.drift) await drift.forget(name)
  }

  const telling = repeat('tell-drift', everyMs, async () => {
    await sendUntold()
    await writeNotes()
  })
  return {
    /** Takes up how a jail was found in an epoch, to be told with the next pass. */
    add(jail: string, epoch: number, how: Pick<JailReport, 'jailState' | 'jid' | 'reason'>): void {
      untold.set(jail, { type: 'jail', host: hostId, jail, epoch, at: new Date().toISOString(), ...how })
    },
    now: telling.now,
    stop: telling.stop,
  }
}

function needsNote(entry: Drift | undefined, { found, since }: JournaledDrift): boolean {
  return entry?.found !== 'orphan' && !(entry?.found === found && entry.since === since)
}
