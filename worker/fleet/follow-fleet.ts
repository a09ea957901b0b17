import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Repeat } from '#shared/process/repeat.ts'
import type { Timing } from '#shared/process/timing.ts'
import { readFleetId } from '#shared/redis/record-facts.ts'
import { recoverEntries, replaceEntries } from '../journal/file.ts'
import { type HandOverDeps, handOverJournal } from './hand-over-journal.ts'

type Deps = Omit<HandOverDeps, 'lookMs'> & {
  /** Where the journal is: the fleet's id is kept beside it. */
  directory: string
  /** Settles once every jail that is wanted running was started again. */
  revived: Promise<unknown>
  /** Called when Redis has another fleet than this host knows; what this host wrote of itself may be lost. */
  onLost(): void
  /** Called when the fleet has read the journal in. */
  onKnown(): Promise<void>
  repeat: Repeat
  timing: Pick<Timing, 'heartbeat' | 'look'>
  log: Logger
}

/**
 * Follows the id of the fleet that this host's jails belong to. When Redis has another id it has lost the records, so the
 * journal is uploaded; the new id is kept only once a producer has read the journal in, so that a crash on either side
 * repeats the upload.
 */
export async function followFleet(deps: Deps) {
  const { redis, keys, journal, timing, log } = deps
  const file = join(deps.directory, 'fleet')
  let known = ((await recoverEntries(file)) as { fleet: string }[])[0]?.fleet
  /** Whether Redis has another fleet than the known one, or none. */
  let isStrange = false
  let isHandingOver = false

  async function keep(fleet: string): Promise<void> {
    await replaceEntries(file, [{ fleet }])
    known = fleet
  }

  async function look(): Promise<void> {
    const fleet = await readFleetId(redis, keys)
    if (fleet !== null && fleet === known) {
      isStrange = false
      return
    }
    if (known === undefined && journal.isEmpty()) {
      if (fleet !== null) await keep(fleet)
      return
    }
    if (!isStrange) log.warn({ fleet, known }, 'Redis does not have the fleet that this host knows: its records were lost')
    isStrange = true
    deps.onLost()
    if (fleet === null || isHandingOver) return
    isHandingOver = true
    // Not waited for: it may be long until a producer comes.
    void handOver(fleet)
      .catch((error) => log.warn({ err: error }, 'the journal could not be uploaded; it is tried again'))
      .finally(() => {
        isHandingOver = false
      })
  }

  async function handOver(fleet: string): Promise<void> {
    await deps.revived
    const keepIt = async () => {
      await keep(fleet)
      isStrange = false
    }
    if (!(await handOverJournal(fleet, keepIt, { ...deps, lookMs: timing.look / 5 }))) return
    log.warn({ fleet }, 'the fleet has taken in the journal of this host')
    await deps.onKnown()
  }

  const looking = deps.repeat('follow-fleet', timing.heartbeat, look)
  return {
    name: looking.name,
    halt: looking.halt,
    stop: looking.stop,
    lookNow: looking.now,
    isStrange: () => isStrange,
    /** To be called before a host's first job: a host with jails and without a fleet would seem to belong to another one. */
    async learn(): Promise<void> {
      if (known === undefined) await looking.now().catch(() => undefined)
    },
    /** The fleet's id for each beat; `none` for a journal from before fleets had ids. */
    known: () => known ?? (journal.isEmpty() ? undefined : 'none'),
  }
}
