import { readFileSync } from 'node:fs'
import { release, type } from 'node:os'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { type HostReport, hostHeartbeatMs } from '#shared/host.ts'
import { planVersion } from '#shared/job.ts'
import type { RedisKeys } from '#shared/keys.ts'
import type { Report } from '#shared/report.ts'
import { type Claim, renewClaim } from './claim-host.ts'
import type { WorkerConfig } from './config.ts'
import type { HostRuntime } from './host/host-runtime.ts'
import type { WorldStore } from './worlds/world-store.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
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
  load(): HostReport['load']
  send(report: Report): Promise<void>
}

/** Writes what this host is and has, at once and every `hostHeartbeatMs`. Gives what ends that. */
export async function reportHost(deps: Deps) {
  const { config, redis, keys, log, claim } = deps
  const startedAt = new Date().toISOString()
  let beats = 0

  async function beat(): Promise<void> {
    if (beats % enrolEvery === 0) await deps.send({ type: 'enrol', host: config.host, at: new Date().toISOString() })
    beats += 1
    await redis.set(keys.hostReport(config.host), JSON.stringify(reportOf(deps, startedAt)))
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
  const timer = setInterval(beatNow, hostHeartbeatMs)
  return {
    /** Something changed that others wait for. */
    changed: () => void beatNow(),
    /** Says that the host is away, so that nobody has to wait for its silence. */
    async stop(): Promise<void> {
      clearInterval(timer)
      again = false
      await beating
      await redis.del(claim.key)
    },
  }
}

function reportOf({ config, host, worlds, load }: Deps, startedAt: string): HostReport {
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
    load: load(),
    versions: { provost: version, node: process.versions.node, os: `${type()} ${release()}`, plans: [planVersion] },
    pid: process.pid,
    startedAt,
    reportedAt: new Date().toISOString(),
  }
}
