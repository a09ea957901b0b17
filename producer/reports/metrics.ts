import type { Redis } from 'ioredis'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { HostState } from '#shared/host.ts'
import { JailState } from '#shared/jail.ts'
import type { OperationStatus } from '#shared/operation.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { PlacementHost } from '../placement/choose-host.ts'
import type { OperationRecord } from '../records/records.ts'

type Deps = { redis: Redis; keys: RedisKeys; hosts: { all(): PlacementHost[] } }

export type Metrics = ReturnType<typeof makeMetrics>

const durationBuckets = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3_600]

/**
 * What Prometheus scrapes. Gauges are of the whole fleet and read when asked; counters and the histogram are of what this
 * producer has applied, so they are summed over producers.
 */
export function makeMetrics({ redis, keys, hosts }: Deps) {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })

  /** A gauge of a value of each host. */
  function hostGauge(name: string, help: string, amountOf: (host: PlacementHost) => number): void {
    new Gauge({
      name: `provost_host_${name}`,
      help,
      labelNames: ['host'],
      registers,
      collect() {
        this.reset()
        for (const host of hosts.all()) this.set({ host: host.id }, amountOf(host))
      },
    })
  }

  /** A gauge of how many members each of some Redis collections has. */
  function sizeGauge(
    name: string,
    help: string,
    label: string | undefined,
    of: Record<string, string>,
    size: 'zcard' | 'hlen' | 'xlen',
  ): void {
    new Gauge({
      name,
      help,
      labelNames: label ? [label] : [],
      registers,
      async collect() {
        for (const [value, key] of Object.entries(of)) this.set(label ? { [label]: value } : {}, await redis[size](key))
      },
    })
  }

  new Gauge({
    name: 'provost_hosts',
    help: 'Hosts by state.',
    labelNames: ['state'],
    registers,
    collect() {
      for (const state of HostState.options) this.set({ state }, hosts.all().filter((host) => host.state === state).length)
    },
  })
  hostGauge('up', 'Whether the host takes jails.', ({ state }) => (state === 'up' ? 1 : 0))
  hostGauge('operations', 'Operations on the host that have not ended.', ({ operations }) => operations)
  hostGauge('drifted_jails', 'Jails that the host has otherwise than the records say.', ({ drift }) => drift)
  hostGauge('leftovers', 'Jails of which the host has something left that it could not remove.', ({ leftovers }) => leftovers)
  hostGauge('jails', 'Jails promised.', ({ promised }) => promised.jails)
  hostGauge('capacity_jails', 'Jails that may be promised.', ({ capacity }) => capacity.jails)
  hostGauge('promised_memory_bytes', 'Memory promised.', ({ promised }) => promised.memory)
  hostGauge('capacity_memory_bytes', 'Memory that may be promised.', ({ capacity }) => capacity.memory)
  hostGauge('promised_cpu_cores', 'CPU promised.', ({ promised }) => promised.cpu)
  hostGauge('capacity_cpu_cores', 'CPU that may be promised.', ({ capacity }) => capacity.cpu)

  const byState = Object.fromEntries(JailState.options.map((state) => [state, keys.jails('state', state)]))
  sizeGauge('provost_jails', 'Jails by state.', 'state', byState, 'zcard')
  const open: OperationStatus[] = ['queued', 'running']
  const byStatus = Object.fromEntries(open.map((status) => [status, keys.operations('status', status)]))
  sizeGauge('provost_operations_open', 'Operations that have not ended, by status.', 'status', byStatus, 'zcard')
  sizeGauge('provost_leases', 'Addresses leased.', undefined, { all: keys.leases }, 'hlen')
  sizeGauge('provost_stray_leases', 'Leases without a jail, in quarantine.', undefined, { all: keys.strayLeases }, 'zcard')
  sizeGauge('provost_reports_pending', 'Reports of workers that are not applied yet.', undefined, { all: keys.reports }, 'xlen')

  const ended = new Counter({
    name: 'provost_operations_ended_total',
    help: 'Operations that ended, by kind and verdict.',
    labelNames: ['kind', 'status'],
    registers,
  })
  const durations = new Histogram({
    name: 'provost_operation_duration_seconds',
    help: 'From acceptance of an operation to its end, by kind.',
    labelNames: ['kind'],
    buckets: durationBuckets,
    registers,
  })
  const moved = new Counter({
    name: 'provost_operations_moved_total',
    help: 'Operations moved from a host that was down or draining.',
    registers,
  })

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    ended({ kind, createdAt }: OperationRecord, status: OperationStatus, at: string): void {
      ended.inc({ kind, status })
      durations.observe({ kind }, (Date.parse(at) - Date.parse(createdAt)) / 1000)
    },
    moved: () => moved.inc(),
  }
}
