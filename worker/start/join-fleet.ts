import { join } from 'node:path'
import pLimit from 'p-limit'
import { Drift, Leftover } from '#shared/host.ts'
import { askTime, fleetTimeMs, mostOffMs } from '#shared/redis/fleet-clock.ts'
import { requireAccess } from '#shared/redis/require-access.ts'
import { untilRedisAnswers } from '#shared/redis/until-redis-answers.ts'
import { compareAll } from '../fleet/compare-records.ts'
import { followFleet } from '../fleet/follow-fleet.ts'
import { followRoot } from '../fleet/follow-root.ts'
import { makePrecedence } from '../jobs/precedence.ts'
import { bindOperation, readRecorded } from '../plans/read-record.ts'
import type { RunDeps } from '../plans/run.ts'
import { makeHostNotes } from '../reports/host-notes.ts'
import type { Base } from './open-base.ts'
import type { Local } from './open-host.ts'

/** How long a step of a batch's operation waits for others at most, in milliseconds. */
const mostWaitMs = 1_000

export type Fleet = Awaited<ReturnType<typeof joinFleet>>

/** Takes this host's name in the fleet, and compares its jails with the fleet's records. */
export async function joinFleet(base: Base, local: Local) {
  const { config, redis, keys, hostId, timing, services, stopping, repeat, reporter } = base
  const { journalDirectory, journal, revived } = local
  // Whatever Redis says, clients get their jails first.
  await requireAccess(config.redisUrl).catch((error) => revived.then(() => Promise.reject(error)))
  await base.presence.take(stopping, journal.highestEpoch())
  services.add(base.presence)
  const clockOffsetMs = await untilRedisAnswers(stopping, () => askTime(redis))
  // Not earlier: without Redis it is not known what time it is.
  if (Math.abs(clockOffsetMs) <= mostOffMs) await journal.dropOld(fleetTimeMs())
  services.add(reporter)
  const onChange = reporter.enrolAgain
  const root = services.add(await followRoot({ ...base, journalDirectory: join(journalDirectory, 'jails'), journal, onChange }))
  const drift = makeHostNotes(redis, keys.hostDrift(hostId), Drift)
  const leftoverNotes = makeHostNotes(redis, keys.hostLeftovers(hostId), Leftover)
  await Promise.all([drift.open(), leftoverNotes.open()])

  const precedence = makePrecedence(mostWaitMs)
  const runDeps = base.amend(runDepsOf(base, local, precedence.waitForOthers))
  const compareDeps = { ...base, drift, runDeps }
  const fleet = services.add(
    await followFleet({
      ...base,
      directory: journalDirectory,
      journal,
      revived,
      onLost: reporter.enrolAgain,
      async onKnown() {
        await Promise.all([drift.writeAgain(), leftoverNotes.writeAgain()])
        await comparing.now().catch(() => undefined)
        reporter.changed()
      },
    }),
  )
  // Not while the records are lost: none of the jails here would be known.
  const compare = async () => fleet.isStrange() || compareAll(compareDeps)
  const comparing = services.add(repeat('compare-records', timing.compare, compare))
  await fleet.lookNow().catch(() => undefined)
  // Before any job is taken: a jail that was moved away meanwhile may be anywhere else by now.
  await comparing.now().catch(() => undefined)
  return { drift, leftoverNotes, runDeps, compareDeps, fleet, precedence, root, compareNow: comparing.now }
}

function runDepsOf(base: Base, local: Local, waitForOthers: RunDeps['waitForOthers']): RunDeps {
  const { host, plans, withJail, send, stopping, retry } = base
  const { journal, worlds, spare, disk } = local
  const patiently = <T>(ask: () => Promise<T>) => untilRedisAnswers(stopping, ask)
  return {
    ...{ host, worlds, journal, plans, withJail, waitForOthers, send, stopping, retry },
    withSuspect: pLimit(1),
    diskFull({ kind }) {
      disk.refused()
      return (kind === 'stop' || kind === 'destroy') && spare.giveUp()
    },
    deliver: (report) => patiently(() => send(report)),
    recorded: (job) => patiently(() => readRecorded(base, job)),
    bind: (job) => patiently(() => bindOperation(base, job)),
  }
}
