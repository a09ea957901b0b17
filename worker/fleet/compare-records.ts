import type { Drift } from '#shared/host.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import { JailFacts, mustBeOnHost, readFacts } from '#shared/redis/record-facts.ts'
import type { JailReport } from '#shared/report.ts'
import type { WorkerConfig } from '../config/config.ts'
import { addressesWithoutPool } from '../host/jails/require-pools.ts'
import { lacksPermission } from '../host/jails/require-privileges.ts'
import { reportJail } from '../jails/report-jail.ts'
import type { JournaledJail } from '../journal/entries.ts'
import { endGivenUp, type GivenUpDeps, removeMoved } from './end-given-up.ts'
import { namesOfRecords } from './recorded-jails.ts'

type Deps = GivenUpDeps & { config: Pick<WorkerConfig, 'network'>; send(report: JailReport): Promise<void> }

const pageSize = 500

/**
 * Compares the jails of this host, and those in its notes, with the fleet's records, and the other way round. What the fleet has
 * moved to another host is undone. A jail that the fleet does not know is somebody's: it is noted, and not touched until it is
 * adopted or cleaned. One that only the fleet knows is noted, too: it is not known to be gone.
 */
export async function compareAll(deps: Deps): Promise<void> {
  const names = deps.runDeps.journal.jails().map(({ spec }) => spec.name)
  return compare([...new Set([...names, ...deps.drift.entries().keys(), ...(await namesOfRecords(deps))])], deps)
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
  const { hostId, drift, log, runDeps } = deps
  const { journal } = runDeps
  // Looked up only now: a record is removed after its jail, so a jail that is still here had no record while it was here.
  const jail = journal.jail(name)
  const noted = drift.entries().get(name)
  const isKnown = jail !== undefined && record?.provision === jail.spec.provision && record.host === hostId
  if (!jail || isKnown) {
    if (!jail && record?.host === hostId && mustBeOnHost(record) && !journal.accountsFor(name, record.provision))
      return noteMissing(name, record, noted, deps)
    return settleKnown(name, jail, noted, deps)
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

async function settleKnown(name: string, jail: JournaledJail | undefined, noted: Drift | undefined, deps: Deps): Promise<void> {
  const { hostId, drift, runDeps, send } = deps
  const wasGivenUp = await endGivenUp(name, deps)
  const wasUnknown = noted?.found === 'orphan' || noted?.found === 'missing'
  const now = jail && whyNotAgain(jail, deps)
  const wasBarred = noted?.found === 'unpooled' || noted?.found === 'unallowed'
  if (wasUnknown || (wasBarred && now?.found !== noted.found)) await drift.forget(name)
  if (now && !drift.entries().has(name)) await noteBarred(name, now, deps)
  // The fleet knows of an orphan what was noted of it, and nothing of what an operation left that was given up.
  if (wasGivenUp || wasUnknown) await reportJail(name, { ...runDeps, hostId, send })
}

type Barred = { found: 'unpooled' | 'unallowed'; reason: string }

/** Returns why a jail could not be started again by the configuration of this host; undefined where it could. */
function whyNotAgain({ spec }: JournaledJail, { config, runDeps }: Deps): Barred | undefined {
  const addresses = addressesWithoutPool(config.network.pools, spec)
  if (addresses.length > 0)
    return {
      found: 'unpooled',
      reason: `Its address ${addresses.join(', ')} is in no pool of its host: it cannot be started again.`,
    }
  if (!lacksPermission(runDeps.host.supports, spec)) return undefined
  return { found: 'unallowed', reason: 'Its host allows no setuid programs any more: it cannot be started again.' }
}

/** The jail runs on, and must be known before somebody restarts it. */
async function noteBarred(jail: string, barred: Barred, { drift, log }: Deps): Promise<void> {
  log.warn({ jail, ...barred }, 'a jail cannot be started again by the configuration of this host')
  await drift.note({ ...barred, jail, since: fleetTime().toISOString() })
}

async function noteMissing(jail: string, record: JailFacts, noted: Drift | undefined, deps: Deps): Promise<void> {
  const { hostId, drift, log, runDeps, send } = deps
  const file = runDeps.journal.setAside(jail)
  const reason = `Its host's journal does not have it${file === undefined ? '' : `: it could not be read and was set aside as ${file}`}.`
  if (noted?.found === 'missing' && noted.reason === reason) return
  const since = fleetTime().toISOString()
  log.error({ jail, file }, 'the fleet has a jail on this host which its journal does not have')
  await drift.note({ found: 'missing', jail, reason, since })
  const { state, epoch } = record
  if (state === 'running' || state === 'stopped')
    await send({ type: 'jail', host: hostId, jail, epoch, at: since, jailState: state, jid: null, reason })
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
