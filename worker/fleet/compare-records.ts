import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import type { Drift } from '#shared/host.ts'
import type { JailSpec } from '#shared/job.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { JailFacts, OperationFacts, readFacts } from '#shared/redis/record-facts.ts'
import type { JailReport } from '#shared/report.ts'
import { tellStanding } from '../jails/report-jail.ts'
import { removeLeftovers } from '../jails/revive-jails.ts'
import type { JournaledJail, JournaledOperation } from '../journal/entries.ts'
import { endAbandoned } from '../plans/end-operation.ts'
import { makeOperationLog } from '../plans/operation-log.ts'
import { endedElsewhere, movedAway, type RunDeps } from '../plans/run.ts'
import type { DriftNotes } from '../reports/host-notes.ts'

type Deps = {
  hostId: string
  redis: Redis
  keys: RedisKeys
  drift: DriftNotes
  log: Logger
  send(report: JailReport): Promise<void>
  /** As for the host's jobs. */
  run: RunDeps
}

const pageSize = 500

/**
 * Compares the jails of this host with the fleet's records. What the fleet has moved to another host meanwhile is undone.
 * A jail that it does not know is somebody's: it is noted, and stays as it is until it is adopted or cleaned.
 */
export function makeCompareRecords(deps: Deps) {
  const { hostId, redis, keys, drift, log, run } = deps
  const { journal, withJail, stopping } = run

  async function seeTo(name: string, record: JailFacts | undefined): Promise<void> {
    // Only now: its record is taken away after the jail, so that one which is still here had none while it was here.
    const jail = journal.jail(name)
    const noted = drift.entries().get(name)
    const isKnown = jail !== undefined && record?.provision === jail.spec.provision && record.host === hostId
    if (!jail || isKnown) {
      // The fleet may have given an operation up of which its host could tell nothing.
      const wasGivenUp = jail?.current !== undefined && (await hasVerdict(jail.current))
      if (wasGivenUp) await withJail(name, () => endGivenUp(name))
      const wasOrphan = noted?.found === 'orphan'
      if (wasOrphan) await drift.forget(name)
      // The fleet has what this host had noted of an orphan, and nothing of what an operation left that was given up.
      if (wasGivenUp || wasOrphan) await tellStanding(name, { hostId, host: run.host, journal, withJail, send: deps.send })
      return
    }
    if (record?.provision === jail.spec.provision) {
      if (await wasMoved(jail.spec)) return withJail(name, () => removeMoved(jail.spec))
      log.warn({ jail: name, record }, 'the fleet has a jail of this host on another one')
    }
    // It was given up together with its host: nobody wants its jail half made, and it could not be adopted so.
    if (jail.current && (await hasVerdict(jail.current))) await withJail(name, () => endGivenUp(name))
    const left = journal.jail(name)
    if (left) await drift.note(toOrphan(left, record, noted))
    else await drift.forget(name)
  }

  /** Whether the fleet has ended an operation that has begun here. */
  async function hasVerdict({ operation, kind, plan, epoch, attempt, spec }: JournaledOperation): Promise<boolean> {
    const envelope = { version: 1, host: hostId, issuedAt: new Date().toISOString() } as const
    return (await run.standing({ ...envelope, operation, kind, plan, epoch, attempt, jail: spec })).ended
  }

  /** With the jail's lock: its job may have come first. */
  async function endGivenUp(name: string): Promise<void> {
    const current = journal.jail(name)?.current
    if (stopping.aborted || !current || !(await hasVerdict(current))) return
    // Its end is noted, and its jail is settled by now.
    if (await journal.endedReport(current)) return
    log.warn({ jail: name, operation: current.operation }, 'an operation was ended while this host was not there: it is undone')
    const operationLog = makeOperationLog(redis, keys.log(hostId, current.operation))
    await endAbandoned(current, hostId, endedElsewhere({ operation: current.operation, host: hostId }), operationLog, run)
  }

  /** Whether its provision was given to another host, under a later epoch than any that this host knows. */
  async function wasMoved({ name, provision }: JailSpec): Promise<boolean> {
    const [record] = await readFacts(redis, OperationFacts, [keys.operation(provision)])
    return record !== undefined && record.host !== hostId && record.epoch > journal.epochOf(name)
  }

  /** With the jail's lock: another job may have come first, and it may have been moved back. */
  async function removeMoved({ name, provision }: JailSpec): Promise<void> {
    const jail = journal.jail(name)
    if (stopping.aborted || jail?.spec.provision !== provision || !(await wasMoved(jail.spec))) return
    log.warn({ jail: name }, 'a jail was moved away while this host was not there: it is removed')
    const { current } = jail
    if (current) {
      const operationLog = makeOperationLog(redis, keys.log(hostId, current.operation))
      await endAbandoned(current, hostId, movedAway({ operation: current.operation, host: hostId }), operationLog, run)
    }
    if (journal.jail(name)) await removeLeftovers(jail.spec, { host: run.host, journal, log })
    if (!journal.jail(name)) await drift.forget(name)
  }

  async function compare(names: string[]): Promise<void> {
    for (let from = 0; from < names.length; from += pageSize) {
      const page = names.slice(from, from + pageSize)
      const records = await readFacts(redis, JailFacts, page.map(keys.jail))
      await Promise.all(page.map((name, i) => compareOne(name, records[i])))
    }
  }

  /** One that cannot be seen to is tried again with the next comparison. */
  async function compareOne(name: string, record: JailFacts | undefined): Promise<void> {
    await seeTo(name, record).catch((error) => log.error({ err: error, jail: name }, 'a jail could not be compared'))
  }

  async function compareLogged(names: string[]): Promise<void> {
    await compare(names).catch((error) =>
      log.warn({ err: error }, 'the jails of this host could not be compared with the records'),
    )
  }

  /** Undefined when none is under way. One at a time: it may have to wait for a jail's lock. */
  let comparingAll: Promise<void> | undefined
  return {
    /** Never throws. */
    compareJail: (name: string) => compareLogged([name]),
    /** Also those of notes whose jail is gone. Never throws. */
    compareAll(): Promise<void> {
      const names = new Set([...journal.jails().map(({ spec }) => spec.name), ...drift.entries().keys()])
      comparingAll ??= compareLogged([...names]).finally(() => {
        comparingAll = undefined
      })
      return comparingAll
    },
  }
}

function toOrphan({ spec, settled, current }: JournaledJail, record: JailFacts | undefined, noted: Drift | undefined): Drift {
  return {
    found: 'orphan',
    jail: spec.name,
    reason: record?.provision === spec.provision ? `The fleet has it on host ${record.host}.` : 'The fleet does not know it.',
    since: noted?.found === 'orphan' && noted.spec.provision === spec.provision ? noted.since : new Date().toISOString(),
    spec,
    epoch: current?.epoch ?? settled?.epoch ?? 0,
    wanted: settled?.wanted ?? 'gone',
  }
}
