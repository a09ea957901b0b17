import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import type { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { OperationFacts, readFacts } from '#shared/redis/record-facts.ts'
import { removeLeftovers } from '../jails/revive-jails.ts'
import type { JournaledOperation } from '../journal/entries.ts'
import { endAbandoned } from '../plans/end-operation.ts'
import { endedElsewhere, movedAway } from '../plans/not-wanted.ts'
import { makeOperationLog } from '../plans/operation-log.ts'
import type { RunDeps } from '../plans/run.ts'
import type { DriftNotes } from '../reports/host-notes.ts'

type Deps = { hostId: string; redis: Redis; keys: RedisKeys; drift: DriftNotes; log: Logger; runDeps: RunDeps }

/** Undoes what the fleet has given up of this host, or moved away from it, while this host was not there to hear of it. */
export function makeEndGivenUp({ hostId, redis, keys, drift, log, runDeps }: Deps) {
  const { host, journal, withJail, stopping } = runDeps

  const undo = (operation: JournaledOperation, why: ProvostError) =>
    endAbandoned(operation, hostId, why, makeOperationLog(redis, keys.log(hostId, operation.operation)), runDeps)

  /** Whether the fleet has ended an operation that has begun here. */
  async function hasVerdict({ operation, kind, plan, epoch, attempt, spec }: JournaledOperation): Promise<boolean> {
    const envelope = { version: 1, host: hostId, issuedAt: new Date().toISOString() } as const
    return (await runDeps.recorded({ ...envelope, operation, kind, plan, epoch, attempt, jail: spec })).ended
  }

  /** With the jail's lock: its job may have come first. */
  async function endWithLock(name: string): Promise<void> {
    const current = journal.jail(name)?.current
    if (stopping.aborted || !current || !(await hasVerdict(current))) return
    // Its end is noted, and its jail is settled by now.
    if (await journal.endedReport(current)) return
    log.warn({ jail: name, operation: current.operation }, 'an operation was ended while this host was not there: it is undone')
    await undo(current, endedElsewhere({ operation: current.operation, host: hostId }))
  }

  /** Whether its provision was given to another host, under a later epoch than any that this host knows. */
  async function wasMoved({ name, provision }: JailSpec): Promise<boolean> {
    const [record] = await readFacts(redis, OperationFacts, [keys.operation(provision)])
    return record !== undefined && record.host !== hostId && record.epoch > journal.epochOf(name)
  }

  /** With the jail's lock: another job may have come first, and it may have been moved back. */
  async function removeWithLock({ name, provision }: JailSpec): Promise<void> {
    const jail = journal.jail(name)
    if (stopping.aborted || jail?.spec.provision !== provision || !(await wasMoved(jail.spec))) return
    log.warn({ jail: name }, 'a jail was moved away while this host was not there: it is removed')
    const { current } = jail
    if (current) await undo(current, movedAway({ operation: current.operation, host: hostId }))
    if (journal.jail(name)) await removeLeftovers(jail.spec, { host, journal, log })
    if (!journal.jail(name)) await drift.forget(name)
  }

  return {
    /** Ends the operation that is at a jail here, if the fleet has given it up. Returns whether it had. */
    async end(name: string): Promise<boolean> {
      const current = journal.jail(name)?.current
      if (!current || !(await hasVerdict(current))) return false
      await withJail(name, () => endWithLock(name))
      return true
    },
    /** Removes a jail that the fleet has moved away. Returns whether it had. */
    async removeMoved(spec: JailSpec): Promise<boolean> {
      if (!(await wasMoved(spec))) return false
      await withJail(spec.name, () => removeWithLock(spec))
      return true
    },
  }
}
