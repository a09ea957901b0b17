import type { Drift } from '#shared/host.ts'
import type { Repeat } from '#shared/process/repeat.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { JailReport } from '#shared/report.ts'
import type { JournaledDrift } from '../journal/entries.ts'
import type { Journal } from '../journal/journal.ts'
import type { DriftNotes } from '../reports/host-notes.ts'
import type { CommandDrift } from './watch-commands.ts'

export type ReportDeps = {
  hostId: string
  journal: Pick<Journal, 'epochOf' | 'jail' | 'jails'>
  send(report: JailReport): Promise<void>
  /** This host's notes for the fleet. */
  drift: Pick<DriftNotes, 'note' | 'forget' | 'entries'>
  repeat: Repeat
  everyMs: number
  /** By jail, whose command has failed; undefined while nobody has looked. */
  died(): ReadonlyMap<string, CommandDrift> | undefined
}

/** By jail, in which epoch and since when it runs without its link. */
export type Unlinked = Map<string, { epoch: number; since: string }>

export const driftReasons: Record<JournaledDrift['found'] | 'unlinked', string> = {
  stopped: 'It was stopped on its host, not through Provost.',
  gone: 'Its root is gone from its host.',
  unlinked: 'Its link to the network, or a rule of it, was removed on its host, not through Provost; a restart makes it anew.',
}

/** Reports to the fleet how jails really are, again and again until Redis has taken it. `unlinked`: what no journal has. */
export function reportDrift({ hostId, journal, send, drift, repeat, everyMs, died }: ReportDeps, unlinked: Unlinked) {
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
   * Brings the notes up to the journal. The note of a jail stays while an operation runs on it, and what the comparison with the
   * records has noted is for that to take back. That a jail is an orphan is worth more than how else it was found.
   */
  async function writeNotes(): Promise<void> {
    const noted = drift.entries()
    for (const { spec } of journal.jails()) {
      const now = driftOf(spec.name)
      if (now && needsNote(noted.get(spec.name), now)) await drift.note({ ...now, jail: spec.name })
    }
    for (const [name, entry] of [...noted]) if (isOver(name, entry)) await drift.forget(name)
  }

  /** Returns how a jail differs from what is wanted: as the journal has it, else as it was seen to run. */
  function driftOf(name: string): Noted | undefined {
    const known = journal.jail(name)?.settled?.drift
    if (known) return { ...known, reason: driftReasons[known.found] }
    const since = unlinked.get(name)?.since
    return since === undefined ? died()?.get(name) : { found: 'unlinked', since, reason: driftReasons.unlinked }
  }

  function isOver(name: string, { found }: Drift): boolean {
    // Those of a comparison with the records are that one's to forget.
    if (['orphan', 'missing', 'unpooled', 'unallowed'].includes(found) || driftOf(name)) return false
    // The notes of an earlier worker stay until this one has looked.
    return found !== 'command-died' || died() !== undefined
  }

  const reporting = repeat('report-drift', everyMs, async () => {
    await sendUnsent()
    await writeNotes()
  })
  return {
    /** Takes how a jail was found in an epoch, for the next pass. */
    add(jail: string, epoch: number, how: Pick<JailReport, 'jailState' | 'jid' | 'reason' | 'commandState'>): void {
      const before = unsent.get(jail)
      const commandState = how.commandState ?? (before?.epoch === epoch ? before.commandState : undefined)
      const reason = how.reason ?? (how.jailState === 'running' && unlinked.has(jail) ? driftReasons.unlinked : undefined)
      const known = { ...(commandState ? { commandState } : {}), ...(reason === undefined ? {} : { reason }) }
      unsent.set(jail, { type: 'jail', host: hostId, jail, epoch, at: fleetTime().toISOString(), ...how, ...known })
    },
    now: reporting.now,
    stop: reporting.stop,
  }
}

type Noted = { found: JournaledDrift['found'] | 'unlinked' | 'command-died'; since: string; reason: string }

function needsNote(entry: Drift | undefined, { found, since }: Noted): boolean {
  return entry?.found !== 'orphan' && !(entry?.found === found && entry.since === since)
}
