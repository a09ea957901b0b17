import { retryLeftovers } from '../jails/retry-leftovers.ts'
import { trimConsoles } from '../jails/trim-consoles.ts'
import { watchDrift } from '../jails/watch-drift.ts'
import { makeTimings } from '../reports/timings.ts'
import { makeRemoveUnusedWorlds } from '../worlds/remove-unused-worlds.ts'
import type { Fleet } from './join-fleet.ts'
import type { Base } from './open-base.ts'
import type { Local } from './open-host.ts'

/** From how many of the latest operations a start reads how long steps took. */
const timedAtStart = 5_000
const consolesEveryMs = 1_000
const unusedWorldsEveryMs = 600_000

export type Watching = Awaited<ReturnType<typeof watchHost>>

/** Starts the background work on what this host has. */
export async function watchHost(base: Base, { journal, worlds, revived, disk }: Local, { drift, leftoverNotes, fleet }: Fleet) {
  const { config, host, log, redis, keys, timing, services, repeat, sendOfJail } = base
  const timings = services.add(
    makeTimings({ write: (now) => redis.set(keys.hostTimings(config.host), JSON.stringify(now)), log }),
  )
  for await (const report of journal.latestReports(timedAtStart)) timings.note(report)
  const delays = { firstMs: timing.leftoversFirst, mostMs: timing.leftoversMost }
  const leftovers = services.add(retryLeftovers({ ...base, journal, notes: leftoverNotes, delays }))
  services.add(watchDrift({ ...base, journal, drift, revived, fleet: fleet.known, send: sendOfJail, everyMs: timing.drift }))
  services.add(repeat('watch-disk', timing.heartbeat, disk.look))
  await disk.look().catch((error) => log.warn({ err: error }, 'how full the disk is could not be read'))
  const usedWorlds = () => journal.jails().map(({ spec }) => ({ name: spec.world, digest: spec.worldDigest }))
  const removeUnusedWorlds = makeRemoveUnusedWorlds({ worlds, used: usedWorlds, log })
  services.add(repeat('look-at-worlds', timing.heartbeat, async () => worlds.look()))
  services.add(repeat('remove-unused-worlds', unusedWorldsEveryMs, removeUnusedWorlds))
  const consoles = () => journal.jails().map(({ spec }) => host.consoleOf(spec))
  services.add(repeat('trim-consoles', consolesEveryMs, () => trimConsoles(consoles(), log)))
  return { timings, leftovers }
}
