import { join } from 'node:path'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { v7 as uuid } from 'uuid'
import type { Timing } from '#shared/process/timing.ts'
import { FleetHost, type Upload, type UploadEntry } from '#shared/recovery.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { JailReport } from '#shared/report.ts'
import { recoverEntries, replaceEntries } from '../journal/file.ts'
import type { Journal } from '../journal/journal.ts'
import { summarizeEnded, uploadedJails, uploadedOperations } from './upload-journal.ts'

type Deps = {
  hostId: string
  /** Where the journal is: the fleet's id is kept beside it. */
  directory: string
  redis: Redis
  keys: RedisKeys
  journal: Journal
  /** What was reported last of each jail without an operation. */
  found: ReadonlyMap<string, JailReport>
  /** Ends when every jail that is to run was started again. */
  revived: Promise<unknown>
  send(report: JailReport): Promise<void>
  /** The fleet that Redis has is not the one that this host knows; what it wrote of itself may be lost. */
  onLost(): void
  /** The fleet has taken the journal in. */
  onKnown(): Promise<void>
  timing: Pick<Timing, 'heartbeat' | 'look'>
  log: Logger
}

const entriesAtOnce = 500

export type FollowFleet = Awaited<ReturnType<typeof followFleet>>

/**
 * Keeps the id of the fleet that this host's jails are of. Where Redis has another one it has lost the records, so the
 * journal is uploaded; only once a producer has taken it in the new id is kept, so that a crash on either side repeats it.
 */
export async function followFleet(deps: Deps) {
  const { hostId, redis, keys, journal, timing, log } = deps
  const file = join(deps.directory, 'fleet')
  let known = ((await recoverEntries(file)) as { fleet: string }[])[0]?.fleet
  /** Another fleet than the known one is in Redis, or none. */
  let isStrange = false
  let stopped = false
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
    const told = await upload(fleet)
    for (;;) {
      if (stopped) return
      const [now, answer] = await Promise.all([redis.hget(keys.fleet, 'id'), redis.hget(keys.fleetHosts, hostId)])
      if (now !== fleet) return
      if (answer !== null && FleetHost.parse(JSON.parse(answer)).upload === told.id) break
      await new Promise((resolve) => setTimeout(resolve, timing.look / 5))
    }
    await keep(fleet)
    isStrange = false
    await redis.del(keys.hostUpload(hostId), keys.hostJournal(hostId))
    log.warn({ fleet, jails: told.jails.size }, 'the fleet has taken in the journal of this host')
    await tellChanges(told.jails)
    await deps.onKnown()
  }

  /** Gives its id, and each jail as it was told. */
  async function upload(fleet: string) {
    const id = uuid()
    const list = keys.hostJournal(hostId)
    const summary = await summarizeEnded(journal)
    const jails = [...uploadedJails(journal, summary, deps.found)]
    const epoch = Math.max(0, ...jails.map((jail) => jail.epoch), ...summary.epochs.values())
    const write = async (operations: number, isComplete: boolean) => {
      const state: Upload = { id, fleet, jails: jails.length, operations, epoch, isComplete }
      await redis.set(keys.hostUpload(hostId), JSON.stringify(state))
    }
    await write(summary.epochs.size, false)
    await redis.del(list)
    let page: UploadEntry[] = []
    const flush = async () => {
      if (page.length > 0) await redis.rpush(list, ...page.map((entry) => JSON.stringify(entry)))
      page = []
    }
    const add = async (entry: UploadEntry) => {
      if (page.push(entry) >= entriesAtOnce) await flush()
    }
    for (const jail of jails) await add(jail)
    let operations = 0
    for await (const operation of uploadedOperations(journal, summary, hostId)) {
      operations += 1
      await add(operation)
    }
    await flush()
    await write(operations, true)
    return { id, jails: new Map(jails.map((jail) => [jail.spec.name, jail])) }
  }

  /** What was reported of jails while the fleet had no records of them. */
  async function tellChanges(told: ReadonlyMap<string, { at: string }>): Promise<void> {
    for (const [name, report] of deps.found) {
      const then = told.get(name)
      if (then && report.at > then.at && journal.epochOf(name) === report.epoch) await deps.send(report)
    }
  }

  let looking: Promise<void> | undefined
  const lookNow = (): Promise<void> => {
    looking ??= look()
      .catch((error) => log.warn({ err: error }, 'the fleet could not be looked up'))
      .finally(() => {
        looking = undefined
      })
    return looking
  }
  const timer = setInterval(lookNow, timing.heartbeat)
  return {
    lookNow,
    isStrange: () => isStrange,
    /** Before a host's first job: a host that has jails and knows no fleet seems to be of another one. */
    async learn(): Promise<void> {
      if (known === undefined) await lookNow()
    },
    /** What the host says with each beat: also of a journal from before fleets had ids. */
    known: () => known ?? (journal.isEmpty() ? undefined : 'none'),
    stop(): void {
      stopped = true
      clearInterval(timer)
    },
  }
}
