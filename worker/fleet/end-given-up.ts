import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import type { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { OperationFacts, readFacts } from '#shared/redis/record-facts.ts'
import { removeLeftovers } from '../jails/remove-jail.ts'
import { type JournaledOperation, toJob } from '../journal/entries.ts'
import { endAbandoned } from '../plans/end-operation.ts'
import type { OperationLog } from '../plans/operation-log.ts'
import { endedElsewhere, movedAway } from '../plans/recorded.ts'
import type { RunDeps } from '../plans/run.ts'
import type { DriftNotes } from '../reports/host-notes.ts'

export type GivenUpDeps = {
  hostId: string
  redis: Redis
  keys: RedisKeys
  drift: DriftNotes
  log: Logger
  operationLog(operation: string): OperationLog
  /** As for the host's jobs. */
  runDeps: RunDeps
}

/** Ends the operation on a jail here when the fleet has given it up while this host was away. Returns whether it had. */
export async function endGivenUp(name: string, deps: GivenUpDeps): Promise<boolean> {
  const current = deps.runDeps.journal.jail(name)?.current
  if (!current || !(await hasVerdict(current, deps))) return false
  await deps.runDeps.withJail(name, () => endWithLock(name, deps))
  return true
}

/** Removes a jail here when the fleet has moved it to another host while this one was away. Returns whether it had. */
export async function removeMoved(spec: JailSpec, deps: GivenUpDeps): Promise<boolean> {
  if (!(await wasMoved(spec, deps))) return false
  await deps.runDeps.withJail(spec.name, () => removeWithLock(spec, deps))
  return true
}

/** Runs with the jail's lock: the operation's job may have come first. */
async function endWithLock(name: string, deps: GivenUpDeps): Promise<void> {
  const { journal, stopping } = deps.runDeps
  const current = journal.jail(name)?.current
  if (stopping.aborted || !current || !(await hasVerdict(current, deps))) return
  // Its end is noted, and its jail is settled by now.
  if (await journal.endedReport(current)) return
  deps.log.warn(
    { jail: name, operation: current.operation },
    'an operation was ended while this host was not there: it is undone',
  )
  await undo(current, endedElsewhere({ operation: current.operation, host: deps.hostId }), deps)
}

/** Runs with the jail's lock: another job may have come first, and the jail may have been moved back. */
async function removeWithLock({ name, provision }: JailSpec, deps: GivenUpDeps): Promise<void> {
  const { hostId, drift, log, runDeps } = deps
  const { host, journal, stopping } = runDeps
  const jail = journal.jail(name)
  if (stopping.aborted || jail?.spec.provision !== provision || !(await wasMoved(jail.spec, deps))) return
  log.warn({ jail: name }, 'a jail was moved away while this host was not there: it is removed')
  const { current } = jail
  if (current) await undo(current, movedAway({ operation: current.operation, host: hostId }), deps)
  if (journal.jail(name)) await removeLeftovers(jail.spec, { host, journal, log })
  if (!journal.jail(name)) await drift.forget(name)
}

/** Whether the fleet has ended an operation that has begun here. */
async function hasVerdict(operation: JournaledOperation, { hostId, runDeps }: GivenUpDeps): Promise<boolean> {
  return (await runDeps.recorded(toJob(operation, hostId))).ended
}

/** Whether a jail's provision was moved to another host, under a later epoch than any that this host knows. */
async function wasMoved({ name, provision }: JailSpec, { hostId, redis, keys, runDeps }: GivenUpDeps): Promise<boolean> {
  const [record] = await readFacts(redis, OperationFacts, [keys.operation(provision)])
  return record !== undefined && record.host !== hostId && record.epoch > runDeps.journal.epochOf(name)
}

function undo(operation: JournaledOperation, why: ProvostError, { hostId, operationLog, runDeps }: GivenUpDeps) {
  return endAbandoned(operation, hostId, why, operationLog(operation.operation), runDeps)
}
