import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { release, type } from 'node:os'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import type { HostBeat, HostReport } from '#shared/host.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { Report } from '#shared/report.ts'
import type { WorkerConfig } from '../config/config.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import type { WorldStore } from '../worlds/world-store.ts'
import { type Claim, renewClaim } from './claim-host.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
// Whoever lost the list of hosts learns of this one again.
const enrolEvery = 10

type Deps = {
  config: WorkerConfig
  host: HostRuntime
  worlds: WorldStore
  redis: Redis
  keys: RedisKeys
  claim: Claim
  log: Logger
  /** The plan versions that this worker knows. */
  plans: number[]
  load(): HostBeat['load']
  /** How many of its jails are otherwise than the records say. */
  drift(): number
  /** Of how many it has something left. */
  leftovers(): number
  /** The id of the fleet that it knows its jails by, if it has any. */
  fleet(): string | undefined
  send(report: Report): Promise<void>
}

/** Writes what this host is and has when that changes, and that it is there at every heartbeat. Gives what ends that. */
export async function reportHost(deps: Deps) {
  const { config, redis, keys, log, claim } = deps
  const startedAt = new Date().toISOString()
  let beats = 0
  let lastReport = ''

  async function beat(): Promise<void> {
    const enrols = beats % enrolEvery === 0
    if (enrols) await deps.send({ type: 'enrol', host: config.host, at: new Date().toISOString() })
    const report = JSON.stringify(reportOf(deps, startedAt))
    // With each enrolment also when it is the same: Redis may have lost it.
    if (enrols || report !== lastReport) await redis.set(keys.hostReport(config.host), report)
    lastReport = report
    beats += 1
    await redis.set(keys.hostBeat(config.host), JSON.stringify(beatOf(deps, report)))
    const other = await renewClaim(redis, claim)
    if (other !== undefined) log.error({ other }, 'another worker reports under the name of this host')
  }

  let beating: Promise<void> | undefined
  let again = false
  const beatNow = (): Promise<void> => {
    // While Redis is away the one under way waits for it; more would only pile up.
    again = beating !== undefined
    beating ??= beat()
      .catch((error) => log.warn({ err: error }, 'heartbeat'))
      .finally(() => {
        beating = undefined
        if (again) void beatNow()
      })
    return beating
  }
  await beatNow()
  const timer = setInterval(beatNow, config.timing.heartbeat)
  return {
    /** Something changed that others wait for. */
    changed: () => void beatNow(),
    /** Redis has lost the list of hosts, or what this one is. */
    enrolAgain(): void {
      beats = 0
      void beatNow()
    },
    /** Says that the host is away, so that nobody has to wait for its silence. */
    async stop(): Promise<void> {
      clearInterval(timer)
      again = false
      await beating
      await redis.del(claim.key)
    },
  }
}

/** Of the report only what tells whether it is another one: a producer reads the beats of all hosts each second. */
function beatOf({ load, drift, leftovers, fleet }: Deps, report: string): HostBeat {
  const digest = createHash('sha256').update(report).digest('hex').slice(0, 16)
  const known = fleet()
  return {
    report: digest,
    load: load(),
    drift: drift(),
    leftovers: leftovers(),
    ...(known ? { fleet: known } : {}),
    at: new Date().toISOString(),
  }
}

function reportOf({ config, host, worlds, plans }: Deps, startedAt: string): HostReport {
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
    versions: { provost: version, node: process.versions.node, os: `${type()} ${release()}`, plans },
    pid: process.pid,
    startedAt,
  }
}
