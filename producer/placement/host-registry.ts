import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { HostReport, type HostState, hostSilentMs } from '#shared/host.ts'
import type { Limits } from '#shared/jail.ts'
import { planVersion } from '#shared/job.ts'
import type { RedisKeys } from '#shared/keys.ts'
import { type PlacementHost, poolConflict } from './choose-host.ts'

type Deps = { redis: Redis; keys: RedisKeys; log: Logger; members: string[]; onChange(host: string): void }

export type HostRegistry = Awaited<ReturnType<typeof openHostRegistry>>

const refreshEveryMs = 1_000

/** The hosts of the fleet as their workers last reported them, read anew every second. */
export async function openHostRegistry({ redis, keys, log, members, onChange }: Deps) {
  let hosts = new Map<string, PlacementHost>()

  async function refresh(): Promise<void> {
    const [ids, draining] = await Promise.all([redis.smembers(keys.hosts), redis.smembers(keys.draining)])
    const pipeline = redis.pipeline()
    for (const id of ids.sort()) pipeline.get(keys.hostReport(id)).pttl(keys.hostAlive(id)).hgetall(keys.promised(id))
    const answers = ((await pipeline.exec()) ?? []).map(([error, value]) => {
      if (error) throw error
      return value
    })
    const reports = ids.flatMap((id, i) => {
      const report = HostReport.safeParse(JSON.parse((answers[3 * i] as string | null) ?? 'null'))
      if (!report.success) return []
      return [
        { id, report: report.data, ttlMs: answers[3 * i + 1] as number, promised: answers[3 * i + 2] as Record<string, string> },
      ]
    })
    const next = new Map<string, PlacementHost>()
    for (const [i, { id, report, ttlMs, promised }] of reports.entries()) {
      const earlier = reports.slice(0, i).map((other) => other.report)
      const [state, reason] = judge(report, ttlMs, draining.includes(id), members, earlier)
      next.set(id, toHost(report, state, reason, ttlMs, promised))
    }
    const before = hosts
    hosts = next
    for (const [id, host] of next) if (signatureOf(before.get(id)) !== signatureOf(host)) onChange(id)
  }

  const tryRefresh = () => refresh().catch((error) => log.warn({ err: error.message }, 'hosts could not be read'))
  await tryRefresh()
  const timer = setInterval(tryRefresh, refreshEveryMs)

  return {
    all: () => [...hosts.values()],
    get: (id: string) => hosts.get(id),
    refresh,
    /** Counts what was just promised, until the ledger is read again: jails asked for at once are spread, too. */
    notePromise(id: string, { memory, cpu, disk = 0 }: Limits): void {
      const promised = hosts.get(id)?.promised
      if (!promised) return
      promised.jails += 1
      promised.memory += memory
      promised.cpu += cpu
      promised.disk += disk
    },
    /** The hosts that the configuration names and that have not all they are to have, with the reason. */
    unready(): string[] {
      return members.flatMap((id) => {
        const host = hosts.get(id)
        if (!host) return [`host ${id} has not reported`]
        if (host.state !== 'up' && host.state !== 'draining') return [`host ${id} is ${host.state}`]
        const filling = host.worlds.filter(({ prefill, state }) => prefill && state !== 'ready')
        return filling.map(({ name, state }) => `world ${name} on host ${id} is ${state}`)
      })
    },
    close: () => clearInterval(timer),
  }
}

function judge(
  report: HostReport,
  ttlMs: number,
  isDraining: boolean,
  members: string[],
  others: HostReport[],
): [HostState, string | undefined] {
  if (members.length > 0 && !members.includes(report.id)) return ['incompatible', "the producer's configuration does not name it"]
  if (!report.versions.plans.includes(planVersion))
    return ['incompatible', `its worker does not know plans of version ${planVersion}`]
  const conflict = poolConflict(report, others)
  if (conflict) return ['incompatible', conflict]
  if (ttlMs <= 0) return ['down', `silent for more than ${hostSilentMs / 1000} s`]
  return isDraining ? ['draining', undefined] : ['up', undefined]
}

function toHost(
  report: HostReport,
  state: HostState,
  reason: string | undefined,
  ttlMs: number,
  promised: Record<string, string>,
): PlacementHost {
  const lastSeen = ttlMs > 0 ? new Date(Date.now() - (hostSilentMs - ttlMs)).toISOString() : report.reportedAt
  return {
    id: report.id,
    state,
    ...(reason ? { reason } : {}),
    runtime: report.runtime,
    platform: report.platform,
    worlds: report.worlds,
    pools: report.pools,
    capacity: report.capacity,
    promised: {
      jails: Number(promised['jails'] ?? 0),
      memory: Number(promised['memory'] ?? 0),
      cpu: Number(promised['cpu'] ?? 0) / 1000,
      disk: Number(promised['disk'] ?? 0),
    },
    load: report.load,
    labels: report.labels,
    lastSeen,
    versions: report.versions,
    defaults: report.defaults,
    supports: report.supports,
  }
}

/** What watchers of a host want to hear of; not each heartbeat. */
function signatureOf(host: PlacementHost | undefined): string {
  return host ? JSON.stringify([host.state, host.reason, host.worlds, host.pools, host.capacity, host.promised, host.labels]) : ''
}
