import { join } from 'node:path'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import type { Repeat } from '#shared/process/repeat.ts'
import type { Timing } from '#shared/process/timing.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { JailReport } from '#shared/report.ts'
import { recoverEntries, replaceEntries } from '../journal/file.ts'
import type { Journal } from '../journal/journal.ts'
import { handOverJournal } from './hand-over-journal.ts'

type Deps = {
  hostId: string
  /** Where the journal is: the fleet's id is kept beside it. */
  directory: string
  redis: Redis
  keys: RedisKeys
  journal: Journal
  /** What was reported last of each jail without an operation. */
  lastReports: ReadonlyMap<string, JailReport>
  /** Ends when every jail that is to run was started again. */
  revived: Promise<unknown>
  send(report: JailReport): Promise<void>
  /** The fleet that Redis has is not the one that this host knows; what it wrote of itself may be lost. */
  onLost(): void
  /** The fleet has taken the journal in. */
  onKnown(): Promise<void>
  repeat: Repeat
  stopping: AbortSignal
  timing: Pick<Timing, 'heartbeat' | 'look'>
  log: Logger
}

export type FollowFleet = Awaited<ReturnType<typeof followFleet>>

/**
 * Keeps the id of the fleet that this host's jails are of. Where Redis has another one it has lost the records, so the
 * journal is uploaded; only once a producer has taken it in the new id is kept, so that a crash on either side repeats it.
 */
export async function followFleet(deps: Deps) {
  const { redis, keys, journal, timing, log } = deps
  const file = join(deps.directory, 'fleet')
  let known = ((await recoverEntries(file)) as { fleet: string }[])[0]?.fleet
  /** Another fleet than the known one is in Redis, or none. */
  let isStrange = false
  let isHandingOver = false

  async function keep(fleet: string): Promise<void> {
    await replaceEntries(file, [{ fleet }])
    known = fleet
  }

  async function look(): Promise<void> {
    const fleet = await redis.hget(keys.fleet, 'id')
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
    // Not waited for: a producer may be long in coming.
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
    stop: looking.stop,
    lookNow: looking.now,
    isStrange: () => isStrange,
    /** Before a host's first job: a host that has jails and knows no fleet seems to be of another one. */
    async learn(): Promise<void> {
      if (known === undefined) await looking.now()
    },
    /** What the host says with each beat: also of a journal from before fleets had ids. */
    known: () => known ?? (journal.isEmpty() ? undefined : 'none'),
  }
}
