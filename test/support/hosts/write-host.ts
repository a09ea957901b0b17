import type { Redis } from 'ioredis'
import type { HostBeat, HostReport } from '#shared/host.ts'
import { planVersion } from '#shared/job.ts'
import { standardTiming } from '#shared/process/timing.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'

const startedAt = '2026-01-01T00:00:00.000Z'

/** What a worker would report of a host with one ready world, `tiny`. */
export function hostReport(id: string, change: Partial<HostReport> = {}): HostReport {
  return {
    id,
    runtime: 'linux',
    platform: 'linux/x64',
    worlds: [{ name: 'tiny', digest: 'd'.repeat(64), method: 'tree', state: 'ready', prefill: true }],
    pools: [],
    capacity: { jails: 1_000, memory: 2 ** 40, cpu: 1_000, fills: 1, builds: 2, starts: 2 },
    defaults: { memory: 2 ** 26, cpu: 0.1, processes: 100 },
    supports: { diskLimit: false, setuid: 'never' },
    labels: {},
    versions: { provost: '1', node: '24', os: 'x', plans: [planVersion] },
    pid: 1,
    startedAt,
    ...change,
  }
}

/** Writes a host's report as its worker would, and that it is there. `digest`: of the report, for its beat. */
export async function writeHost(redis: Redis, keys: RedisKeys, report: HostReport, digest = '1'): Promise<void> {
  await redis.set(keys.hostReport(report.id), JSON.stringify(report))
  await writeBeat(redis, keys, report.id, { report: digest })
  await redis.sadd(keys.hosts, report.id)
}

export async function writeBeat(redis: Redis, keys: RedisKeys, id: string, change: Partial<HostBeat> = {}): Promise<void> {
  const load = { fills: 0, builds: 0, starts: 0, jails: 0, loadAverage: 0 }
  const beat: HostBeat = { report: '1', load, drift: 0, leftovers: 0, at: new Date().toISOString(), ...change }
  await redis
    .pipeline()
    .set(keys.hostBeat(id), JSON.stringify(beat))
    .set(keys.hostAlive(id), 'here', 'PX', standardTiming.silence)
    .exec()
}
