import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import type { Drift } from '#shared/host.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import { JailFacts, readFacts } from '#shared/redis/record-facts.ts'
import type { JailReport } from '#shared/report.ts'
import { reportJail } from '../jails/report-jail.ts'
import type { JournaledJail } from '../journal/entries.ts'
import type { RunDeps } from '../plans/run.ts'
import type { DriftNotes } from '../reports/host-notes.ts'
import { makeEndGivenUp } from './end-given-up.ts'

type Deps = {
  hostId: string
  redis: Redis
  keys: RedisKeys
  drift: DriftNotes
  log: Logger
  send(report: JailReport): Promise<void>
  /** As for the host's jobs. */
  runDeps: RunDeps
}

const pageSize = 500

/**
 * Compares the jails of this host with the fleet's records. What the fleet has moved to another host meanwhile is undone.
 * A jail that it does not know is somebody's: it is noted, and stays as it is until it is adopted or cleaned.
 */
export function makeCompareRecords(deps: Deps) {
  const { hostId, redis, keys, drift, log, send, runDeps } = deps
  const { host, journal, withJail } = runDeps
  const givenUp = makeEndGivenUp(deps)

  async function seeTo(name: string, record: JailFacts | undefined): Promise<void> {
    // Only now: its record is taken away after the jail, so that one which is still here had none while it was here.
    const jail = journal.jail(name)
    const noted = drift.entries().get(name)
    const isKnown = jail !== undefined && record?.provision === jail.spec.provision && record.host === hostId
    if (!jail || isKnown) {
      const wasGivenUp = await givenUp.end(name)
      const wasOrphan = noted?.found === 'orphan'
      if (wasOrphan) await drift.forget(name)
      // The fleet has what this host had noted of an orphan, and nothing of what an operation left that was given up.
      if (wasGivenUp || wasOrphan) await reportJail(name, { hostId, host, journal, withJail, send })
      return
    }
    if (record?.provision === jail.spec.provision) {
      if (await givenUp.removeMoved(jail.spec)) return
      log.warn({ jail: name, record }, 'the fleet has a jail of this host on another one')
    }
    // It was given up together with its host: nobody wants its jail half made, and it could not be adopted so.
    await givenUp.end(name)
    const left = journal.jail(name)
    if (left) await drift.note(toOrphan(left, record, noted))
    else await drift.forget(name)
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

  return {
    /** Never throws: it is compared with all others before long. */
    compareJail: (name: string) =>
      compare([name]).catch((error) => log.warn({ err: error, jail: name }, 'a jail could not be compared')),
    /** Also those of notes whose jail is gone. */
    compareAll: () => compare([...new Set([...journal.jails().map(({ spec }) => spec.name), ...drift.entries().keys()])]),
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
