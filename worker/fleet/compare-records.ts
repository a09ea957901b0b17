import type { Drift } from '#shared/host.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import { JailFacts, readFacts } from '#shared/redis/record-facts.ts'
import type { JailReport } from '#shared/report.ts'
import { reportJail } from '../jails/report-jail.ts'
import type { JournaledJail } from '../journal/entries.ts'
import { endGivenUp, type GivenUpDeps, removeMoved } from './end-given-up.ts'

type Deps = GivenUpDeps & { send(report: JailReport): Promise<void> }

const pageSize = 500

/**
 * Compares the jails of this host, and those in its notes, with the fleet's records. What the fleet has moved to another host
 * is undone. A jail that the fleet does not know is somebody's: it is noted, and not touched until it is adopted or cleaned.
 */
export function compareAll(deps: Deps): Promise<void> {
  const names = deps.runDeps.journal.jails().map(({ spec }) => spec.name)
  return compare([...new Set([...names, ...deps.drift.entries().keys()])], deps)
}

/** Compares one jail. Never throws: it is compared with all others before long. */
export function compareJail(name: string, deps: Deps): Promise<void> {
  return compare([name], deps).catch((error) => deps.log.warn({ err: error, jail: name }, 'a jail could not be compared'))
}

async function compare(names: string[], deps: Deps): Promise<void> {
  for (let from = 0; from < names.length; from += pageSize) {
    const page = names.slice(from, from + pageSize)
    const records = await readFacts(deps.redis, JailFacts, page.map(deps.keys.jail))
    await Promise.all(page.map((name, i) => compareOne(name, records[i], deps)))
  }
}

/** A jail that cannot be compared now is tried again with the next comparison. */
async function compareOne(name: string, record: JailFacts | undefined, deps: Deps): Promise<void> {
  await settle(name, record, deps).catch((error) => deps.log.error({ err: error, jail: name }, 'a jail could not be compared'))
}

async function settle(name: string, record: JailFacts | undefined, deps: Deps): Promise<void> {
  const { hostId, drift, log, runDeps, send } = deps
  const { journal } = runDeps
  // Looked up only now: a record is removed after its jail, so a jail that is still here had no record while it was here.
  const jail = journal.jail(name)
  const noted = drift.entries().get(name)
  const isKnown = jail !== undefined && record?.provision === jail.spec.provision && record.host === hostId
  if (!jail || isKnown) {
    const wasGivenUp = await endGivenUp(name, deps)
    const wasOrphan = noted?.found === 'orphan'
    if (wasOrphan) await drift.forget(name)
    // The fleet knows of an orphan what was noted of it, and nothing of what an operation left that was given up.
    if (wasGivenUp || wasOrphan) await reportJail(name, { ...runDeps, hostId, send })
    return
  }
  if (record?.provision === jail.spec.provision) {
    if (await removeMoved(jail.spec, deps)) return
    log.warn({ jail: name, record }, 'the fleet has a jail of this host on another one')
  }
  // An operation that was given up together with its host: nobody wants its half-made jail, which could not be adopted.
  await endGivenUp(name, deps)
  const left = journal.jail(name)
  if (left) await drift.note(toOrphan(left, record, noted))
  else await drift.forget(name)
}

function toOrphan({ spec, settled, current }: JournaledJail, record: JailFacts | undefined, noted: Drift | undefined): Drift {
  return {
    found: 'orphan',
    jail: spec.name,
    reason: record?.provision === spec.provision ? `The fleet has it on host ${record.host}.` : 'The fleet does not know it.',
    since: noted?.found === 'orphan' && noted.spec.provision === spec.provision ? noted.since : fleetTime().toISOString(),
    spec,
    epoch: current?.epoch ?? settled?.epoch ?? 0,
    wanted: settled?.wanted ?? 'gone',
  }
}
