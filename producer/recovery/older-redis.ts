import type { Logger } from 'pino'
import { v7 as uuid } from 'uuid'
import type { Timing } from '#shared/process/timing.ts'
import { fleetTimeMs } from '#shared/redis/fleet-clock.ts'
import type { HostRegistry } from '../hosts/host-registry.ts'
import type { Store } from '../records/store.ts'
import { awaited } from './fleet-records.ts'
import { highestRecordedEpoch } from './rebuild-ledgers.ts'

type Deps = Store & {
  hosts: Pick<HostRegistry, 'all' | 'highestEpoch'>
  members: string[]
  timing: Pick<Timing, 'silence'>
  log: Logger
}

/** How Redis compares with the fleet's hosts; `unsure` until they have had time to report. */
type Age = 'same' | 'older' | 'unsure'

/**
 * Returns what tells whether Redis is older than its fleet: restored from a backup, or a replica that lagged behind. Then a host has
 * seen a higher epoch than Redis gives out next, and what Redis does not know of has begun there.
 */
export function makeJudgeAge({ hosts, timing, log, ...store }: Deps) {
  const { redis, keys, scripts } = store
  /** The highest epoch that this producer has seen in Redis. */
  let seen = 0
  let fellAtMs: number | undefined
  let judged = ''

  async function judge(fleet: string): Promise<Age> {
    judged = fleet
    // Before the epoch is read: a host never sees one before Redis has it.
    const ofHosts = hosts.highestEpoch(fleet)
    const text = await redis.get(keys.epoch)
    const epoch = text === null ? await highestRecordedEpoch(store) : Number(text)
    if (ofHosts > epoch) {
      fellAtMs = undefined
      seen = 0
      return 'older'
    }
    if (text === null && Math.max(epoch, seen) > 0) {
      log.error({ epoch: Math.max(epoch, seen) }, 'Redis had lost the epoch: it is taken from the records')
      await scripts.raiseEpoch(Math.max(epoch, seen))
    } else if (epoch < seen) {
      fellAtMs ??= performance.now()
      if (performance.now() - fellAtMs < timing.silence) return 'unsure'
      log.error({ epoch, seen }, 'Redis has lost what was accepted last, of which nothing had begun on a host')
      await scripts.raiseEpoch(seen)
    }
    fellAtMs = undefined
    seen = Math.max(seen, epoch)
    return 'same'
  }

  return {
    judge,
    /** Returns the highest epoch that Redis had at a look, or that a host of the fleet has said since. */
    seenEpoch: () => Math.max(seen, hosts.highestEpoch(judged)),
  }
}

/** Gives the fleet another id, so that all its hosts upload their journals. `remembered`: its hosts at an earlier look. */
export async function renewFleet({ keys, scripts, hosts, members, log }: Deps, was: string, remembered: string[]): Promise<void> {
  const ids = [...new Set([...members, ...remembered, ...hosts.all().map(({ id }) => id)])]
  const input = { was, id: uuid(), foundedAt: String(fleetTimeMs()), hosts: ids, awaited }
  if ((await scripts.renewFleet([keys.fleet, keys.fleetHosts], JSON.stringify(input))) === 0) return
  log.error({ was, fleet: input.id }, 'Redis is older than the hosts: the records are compared with their journals')
}
