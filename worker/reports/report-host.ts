import { createHash } from 'node:crypto'
import { release, type } from 'node:os'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { type BackgroundWork, type HostBeat, type HostDisk, type HostReport, toleratedOffMs } from '#shared/host.ts'
import type { Repeat, Repeated } from '#shared/process/repeat.ts'
import { version } from '#shared/process/version.ts'
import { askTime, fleetTime } from '#shared/redis/fleet-clock.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { Report } from '#shared/report.ts'
import type { WorkerConfig } from '../config/config.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import type { WorldStore } from '../worlds/world-store.ts'
import type { Presence } from './presence.ts'

// How many heartbeats from one enrolment to the next: a Redis that lost the list of hosts gets this one again.
const enrolEvery = 10

type Deps = {
  config: WorkerConfig
  host: HostRuntime
  redis: Redis
  keys: RedisKeys
  presence: Pick<Presence, 'renew' | 'isLost'>
  repeat: Repeat
  log: Logger
  /** The plan versions that this worker knows. */
  plans: readonly number[]
  /** The passes of this worker's background work. */
  background: BackgroundWork
  send(report: Report): Promise<void>
}

/** What the report and the beats are made from. */
type Sources = {
  worlds: Pick<WorldStore, 'states'>
  load(): HostBeat['load']
  /** How many of its jails differ from their records. */
  drift(): number
  /** How many of its jails have leftovers. */
  leftovers(): number
  /** How full its disk is. */
  disk(): HostDisk | undefined
  /** Why it takes no jobs, if it does not. */
  unfit(): string | undefined
  /** The id of the fleet that it knows its jails by, if it has any. */
  fleet(): string | undefined
  /** The highest epoch in its journal. */
  epoch(): number
  /** How much of what Redis had for it was refused. */
  refused(): number
}

/** Returns what writes the host's report when that changes, and a beat at every heartbeat, once it has begun. */
export function makeHostReporter(deps: Deps) {
  const { config, redis, keys, log, presence, repeat } = deps
  const startedAt = fleetTime().toISOString()
  let beats = 0
  let wasOff = false
  let lastReport = ''
  let beating: Repeated | undefined

  /** Says it once each time that it has gone wrong. */
  function noteClock(offsetMs: number): void {
    const isOff = Math.abs(offsetMs) > toleratedOffMs
    if (isOff && !wasOff) log.warn({ offsetMs }, "the clock of this host is not that of Redis, whose time is the fleet's")
    wasOff = isOff
  }

  async function beat(sources: Sources): Promise<void> {
    // First: what this host writes is another's once that has its name.
    if (await presence.isLost()) return
    const clockOffsetMs = await askTime(redis)
    noteClock(clockOffsetMs)
    const enrols = beats % enrolEvery === 0
    if (enrols) await deps.send({ type: 'enrol', host: config.host, at: fleetTime().toISOString() })
    const report = JSON.stringify(reportOf(deps, sources, startedAt))
    // With each enrolment also an unchanged one: Redis may have lost it.
    if (enrols || report !== lastReport) await redis.set(keys.hostReport(config.host), report)
    if (enrols) await redis.set(keys.hostBackground(config.host), JSON.stringify(deps.background))
    lastReport = report
    beats += 1
    await presence.renew(JSON.stringify({ ...beatOf(sources, report), clockOffsetMs }))
  }

  return {
    name: 'heartbeat',
    /** Sends the first beat, and goes on with one at every heartbeat. */
    async begin(sources: Sources): Promise<void> {
      beating = repeat('heartbeat', config.timing.heartbeat, () => beat(sources))
      await beating.now().catch(() => undefined)
    },
    /** Sends a beat now: something has changed that others wait for. */
    changed: () => void beating?.now(),
    /** Enrols with the next beat, now: Redis has lost the list of hosts, or this host's report. */
    enrolAgain(): void {
      beats = 0
      void beating?.now()
    },
    stop: () => beating?.stop(),
  }
}

/** Has only a digest of the report, which shows whether it has changed: a producer reads the beats of all hosts each second. */
function beatOf({ load, drift, leftovers, disk, fleet, epoch, refused }: Sources, report: string): HostBeat {
  const digest = createHash('sha256').update(report).digest('hex').slice(0, 16)
  const [known, full] = [fleet(), disk()]
  return {
    report: digest,
    load: load(),
    drift: drift(),
    leftovers: leftovers(),
    ...(known ? { fleet: known } : {}),
    ...(full ? { disk: full } : {}),
    epoch: epoch(),
    ...(refused() > 0 ? { refused: refused() } : {}),
    at: fleetTime().toISOString(),
  }
}

function reportOf({ config, host, plans }: Deps, { worlds, unfit }: Sources, startedAt: string): HostReport {
  const why = unfit()
  const { fills, builds, starts, ...promisable } = config.capacity
  const { disk, ...rest } = promisable
  return {
    id: config.host,
    runtime: host.runtime,
    platform: host.platform,
    worlds: worlds.states(),
    pools: config.network.pools,
    capacity: { ...rest, fills, builds, starts, ...(disk === undefined ? {} : { disk }) },
    defaults: config.defaults,
    supports: host.supports,
    labels: config.labels,
    versions: { provost: version, node: process.versions.node, os: `${type()} ${release()}`, plans: [...plans] },
    pid: process.pid,
    startedAt,
    ...(why ? { unfit: why } : {}),
  }
}
