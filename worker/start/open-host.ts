import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { reviveJails, settledJails } from '../jails/revive-jails.ts'
import { openJournal } from '../journal/journal.ts'
import { keepPlace } from '../journal/root-place.ts'
import { makeSpareRoom } from '../journal/spare-room.ts'
import { watchDisk } from '../reports/watch-disk.ts'
import { openFillKills } from '../worlds/fills/kills.ts'
import { makeWorldStore } from '../worlds/make-world-store.ts'
import type { Base } from './open-base.ts'

export type Local = Awaited<ReturnType<typeof openHost>>

/** Opens what is on this host. Needs no Redis: after a reboot clients have their jails before the fleet has its queues. */
export async function openHost(base: Base) {
  const { config, host, run, log, directory, files, reporter, sendOfJail } = base
  const journalDirectory = join(directory, 'journal')
  const worlds = makeWorldStore({
    worlds: config.worlds,
    host,
    run,
    fills: config.capacity.fills,
    kills: await openFillKills(join(journalDirectory, 'fills'), log),
    log,
    changed: reporter.changed,
    isAway: () => !existsSync(directory),
  })
  await worlds.open()
  const journal = await openJournal(journalDirectory, log, files)
  await keepPlace({ directory, boot: await host.bootId(), journal, log })
  const spare = makeSpareRoom(journalDirectory)
  const disk = watchDisk({ directory, spare, log, refusedForMs: base.timing.silence })
  const revived = reviveJails(settledJails(journal), {
    ...base,
    worlds,
    journal,
    overdueMs: base.timing.overdue,
    send: sendOfJail,
  })
  return { journalDirectory, worlds, journal, revived, spare, disk }
}
