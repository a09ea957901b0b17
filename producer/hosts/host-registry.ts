import type { Logger } from 'pino'
import { type Host, type HostReport, type HostState, resources } from '#shared/host.ts'
import type { Limits } from '#shared/jail.ts'
import { planVersion } from '#shared/job.ts'
import type { Pool } from '#shared/network/pool.ts'
import type { Repeat } from '#shared/process/repeat.ts'
import type { Timing } from '#shared/process/timing.ts'
import { fleetTimeMs } from '#shared/redis/fleet-clock.ts'
import { countPromise, type PlacementHost } from '../placement/placement-host.ts'
import type { Store } from '../records/store.ts'
import type { Writes } from '../records/watch-writes.ts'
import { memoizeByPools } from './pools/memoize-by-pools.ts'
import { poolConflicts } from './pools/pool-conflicts.ts'
import { sharedPools } from './pools/shared-pools.ts'
import { type HostReading, makeReadHosts } from './read-hosts.ts'

type Deps = Store & {
  log: Logger
  repeat: Repeat
  members: string[]
  timing: Timing
  writes: Pick<Writes, 'look' | 'mayHostsBeUnheard'>
  onChange(host: string): void
}

export type HostRegistry = Awaited<ReturnType<typeof openHostRegistry>>

/** A host as it was last read; `host` is another object only if its state, its report or its pools have changed. */
type Known = { reading: HostReading; host: PlacementHost }

/** Opens the registry of the fleet's hosts, as their workers last reported them. Reads them every `timing.look`. */
export async function openHostRegistry(deps: Deps) {
  const { redis, keys, repeat, members, timing, writes, onChange } = deps
  const readHosts = makeReadHosts(deps)
  const conflictsOf = memoizeByPools(poolConflicts)
  const poolsOf = memoizeByPools(sharedPools)
  const named = new Set(members)
  let known = new Map<string, Known>()
  let all: PlacementHost[] = []
  /** By fleet. */
  let highestEpochs = new Map<string, number>()

  async function refresh(): Promise<void> {
    // With each reading: a heartbeat that could not be written must not make its host seem silent.
    const asked = [redis.smembers(keys.hosts), redis.smembers(keys.draining), writes.look()] as const
    const [ids, drainingIds] = await Promise.all(asked)
    const draining = new Set(drainingIds)
    const readings = await readHosts(ids.sort())
    const reports = readings.map(({ report }) => report)
    const [conflicts, pools] = [conflictsOf(reports), poolsOf(reports)]
    const before = known
    known = new Map()
    for (const [i, reading] of readings.entries()) {
      const last = before.get(reading.id)
      const wasThere = last !== undefined && last.host.state !== 'down'
      const isSilent = reading.ttlMs <= 0 && !(wasThere && writes.mayHostsBeUnheard())
      const [state, reason] = judge(reading, isSilent, draining, named, conflicts, timing)
      const own = pools[i] ?? []
      const isSame =
        last?.host.state === state &&
        last.host.reason === reason &&
        last.reading.report === reading.report &&
        last.host.pools === own
      const host = isSame ? Object.assign(last.host, countsOf(reading, timing)) : toHost(reading, state, reason, own, timing)
      known.set(reading.id, { reading, host })
    }
    // Before a host is known to be up: from then on it takes jails.
    highestEpochs = highestEpochsOf(readings)
    const hosts = [...known.values()].map(({ host }) => host)
    // Placement memoizes what it derives from the fleet by this array.
    if (hosts.length !== all.length || hosts.some((host, i) => host !== all[i])) all = hosts
    for (const [id, now] of known) if (hasChanged(before.get(id), now)) onChange(id)
  }

  const reading = repeat('read-hosts', timing.look, refresh)
  await reading.now().catch(() => undefined)

  return {
    all: () => all,
    get: (id: string) => known.get(id)?.host,
    /** Returns the id of the fleet that a host believes it belongs to: '' for none so far, undefined without a beat of it. */
    fleetOf(id: string): string | undefined {
      const beat = known.get(id)?.reading.beat
      return beat && (beat.fleet ?? '')
    },
    /** Returns the highest epoch in the journals of a fleet's hosts, as of their last beats; 0 without one. */
    highestEpoch: (fleet: string): number => highestEpochs.get(fleet) ?? 0,
    /** Returns the hosts whose ledger has another number of jails than there are records: Redis has lost it. */
    withoutLedger: (): string[] =>
      [...known.values()].flatMap(({ reading }) => (reading.promised.jails === reading.jails ? [] : [reading.id])),
    /** Reads the hosts now; an older reading never replaces a newer one. */
    refresh: reading.now,
    /** Counts a new promise until the ledger is read again, so that jails requested at the same time are spread, too. */
    notePromise(id: string, limits: Limits): void {
      const host = known.get(id)?.host
      if (host) countPromise(host, limits, 1)
    },
    /** Returns why hosts that the configuration names are not ready, or worlds to prefill on them; empty if all are. */
    unready(): string[] {
      return members.flatMap((id) => {
        const host = known.get(id)?.host
        if (!host) return [`host ${id} has not reported`]
        if (host.state !== 'up' && host.state !== 'draining') return [`host ${id} is ${host.state}`]
        const filling = host.worlds.filter(({ prefill, state }) => prefill && state !== 'ready')
        return filling.map(({ name, state }) => `world ${name} on host ${id} is ${state}`)
      })
    },
    name: reading.name,
    halt: reading.halt,
    stop: reading.stop,
  }
}

function judge(
  { id, report, beat }: HostReading,
  isSilent: boolean,
  draining: Set<string>,
  members: Set<string>,
  conflicts: Map<string, string>,
  timing: Timing,
): [HostState, string | undefined] {
  const misfit = whyIncompatible(report, members, conflicts)
  // First: a silent host must be `down`, whatever else is wrong with it, or its work is not moved and it cannot be forgotten.
  if (isSilent) {
    const also = misfit ?? (draining.has(id) ? 'draining' : undefined)
    return ['down', `silent for more than ${timing.silence / 1000} s${also ? `; ${also}` : ''}`]
  }
  if (misfit) return ['incompatible', misfit]
  if (!beat) return ['down', 'its worker sends no heartbeats that this producer knows; upgrade it']
  const reason = beat.disk?.isFull ? fullDisk : undefined
  return [draining.has(id) ? 'draining' : 'up', reason]
}

function whyIncompatible(report: HostReport, members: Set<string>, conflicts: Map<string, string>): string | undefined {
  if (members.size > 0 && !members.has(report.id)) return "the producer's configuration does not name it"
  if (!report.versions.plans.includes(planVersion)) return `its worker does not know plans of version ${planVersion}`
  return report.unfit ?? conflicts.get(report.id)
}

const fullDisk = 'its disk is full'
const noLoad = { fills: 0, builds: 0, starts: 0, jails: 0, loadAverage: 0 }

function toHost(
  reading: HostReading,
  state: HostState,
  reason: string | undefined,
  pools: Pool[],
  timing: Timing,
): PlacementHost {
  const { pid: _pid, startedAt: _startedAt, ...report } = reading.report
  return { ...report, pools, state, ...(reason ? { reason } : {}), ...countsOf(reading, timing) }
}

/** Returns what changes all the time. `promised` is a copy, since `notePromise` counts in it. */
function countsOf({ report, beat, ttlMs, promised, operations }: HostReading, timing: Timing) {
  const seen = ttlMs > 0 ? new Date(fleetTimeMs() - (timing.silence - ttlMs)).toISOString() : (beat?.at ?? report.startedAt)
  return {
    promised: { ...promised },
    operations,
    load: beat?.load ?? noLoad,
    ...(beat?.disk ? { disk: beat.disk } : {}),
    drift: beat?.drift ?? 0,
    leftovers: beat?.leftovers ?? 0,
    lastSeen: seen,
    ...(beat?.refused === undefined ? {} : { refused: beat.refused }),
    ...(beat?.clockOffsetMs === undefined ? {} : { clockOffsetMs: beat.clockOffsetMs }),
  } satisfies Partial<Host>
}

function highestEpochsOf(readings: HostReading[]): Map<string, number> {
  const highest = new Map<string, number>()
  for (const { beat } of readings)
    if (beat?.fleet) highest.set(beat.fleet, Math.max(highest.get(beat.fleet) ?? 0, beat.epoch ?? 0))
  return highest
}

/** Whether a host has changed for its watchers; a heartbeat alone is no change. */
function hasChanged(before: Known | undefined, now: Known): boolean {
  if (before?.host !== now.host) return true
  const [was, is] = [before.reading, now.reading]
  const isPromiseSame = resources.every((resource) => was.promised[resource] === is.promised[resource])
  return (
    !isPromiseSame ||
    was.operations !== is.operations ||
    was.beat?.drift !== is.beat?.drift ||
    was.beat?.leftovers !== is.beat?.leftovers
  )
}
