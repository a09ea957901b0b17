import type { Logger } from 'pino'
import type { Repeat } from '#shared/process/repeat.ts'
import type { Timing } from '#shared/process/timing.ts'
import type { FleetHost, Recovery as Shown } from '#shared/recovery.ts'
import { askTime } from '#shared/redis/fleet-clock.ts'
import type { HostRegistry } from '../hosts/host-registry.ts'
import type { Store } from '../records/store.ts'
import { nothingTaken, openFleetRecord, readFleetHosts } from './fleet-records.ts'
import { makeFleetState } from './fleet-state.ts'
import { makeJudgeAge, renewFleet } from './older-redis.ts'
import { rebuildLedgers } from './rebuild-ledgers.ts'
import { lostText, showRecovery } from './show-recovery.ts'
import { readStatuses, takeUploads } from './take-uploads.ts'
import { makeWholeRecords } from './whole-records.ts'

type Deps = Store & {
  hosts: HostRegistry
  /** The hosts that the configuration names. */
  members: string[]
  timing: Pick<Timing, 'look' | 'silence'>
  repeat: Repeat
  log: Logger
}

export type Recovery = Awaited<ReturnType<typeof openRecovery>>

/**
 * Watches whether Redis has lost everything: then it has no fleet id, or another one than its hosts have. The records are rebuilt
 * from the journals that those hosts upload. Until then nothing is admitted, and no record is shown.
 */
export async function openRecovery(deps: Deps) {
  const { redis, keys, hosts, repeat, members, timing, log } = deps
  const state = makeFleetState(deps)
  const parts = { ...deps, state }
  /** The hosts at the last look at which the records were complete. */
  let remembered: string[] = []
  let wasRecovering = false
  const age = makeJudgeAge(deps)
  /** Why Redis may be older than the hosts; undefined when it is not. */
  let doubt: string | undefined
  const whole = makeWholeRecords({ redis, keys, state, doubt: () => doubt })

  async function look(): Promise<void> {
    await askTime(redis)
    const before = state.fleet()
    const known = { id: before?.id, hosts: remembered }
    let now = await openFleetRecord(deps, known, members)
    const compared = await age.judge(now.id)
    if (compared === 'older') {
      await renewFleet(deps, now.id, remembered)
      now = await openFleetRecord(deps, known, members)
    }
    doubt =
      compared === 'unsure' ? 'Redis is older than it was a moment ago, and hosts are asked what they have done since' : undefined
    if (compared === 'same') await rebuildLedgers(deps)
    const isOther = now.id !== before?.id
    const statuses = isOther || state.isRecovering() ? await readFleetHosts(deps) : undefined
    if (before && isOther && compared !== 'older')
      log.error({ fleet: now.id, lost: lostText }, 'Redis lost everything: the records are rebuilt')
    state.update(now, statuses)
    await takeUploads(parts, now)
    const recovers = state.isRecovering()
    if (!recovers && hosts.all().length > 0) remembered = hosts.all().map(({ id }) => id)
    // A new fleet waits for the hosts that its configuration names, and has lost nothing.
    const hasLost = state.fleet()?.hasLost ?? now.hasLost
    if (wasRecovering && !recovers && hasLost) log.warn({ fleet: now.id, lost: lostText }, 'the records are rebuilt')
    wasRecovering = recovers
  }

  const looking = repeat('look-up-fleet', timing.look, look)
  // A Redis that comes back may have lost everything.
  redis.on('ready', looking.now)
  await looking.now().catch(() => undefined)

  return {
    name: looking.name,
    halt: looking.halt,
    stop: looking.stop,
    lookNow: looking.now,
    ...whole,
    /** Returns an epoch that Redis, or a host, has had: with a lower one Redis is older than it was. */
    seenEpoch: age.seenEpoch,
    waitsFor: (id: string) => state.waitedFor().includes(id),

    /** No longer waits for a host. If it comes back later, its jails are orphans. */
    async forget(id: string): Promise<void> {
      const now: FleetHost = { ...(state.statuses().get(id) ?? nothingTaken), state: 'forgotten' }
      await redis.hset(keys.fleetHosts, id, JSON.stringify(now))
      state.updateHost(id, now)
    },

    async show(): Promise<Shown> {
      await readStatuses(parts)
      return showRecovery(deps, state, await whole.isLost())
    },
  }
}
