import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { BackgroundWork, HostState } from '#shared/host.ts'
import { JailState } from '#shared/jail.ts'
import type { OperationStatus } from '#shared/operation.ts'
import type { Pass } from '#shared/process/repeat.ts'
import { askTime } from '#shared/redis/fleet-clock.ts'
import type { FleetHosts, PlacementHost } from '../placement/placement-host.ts'
import { jailList } from '../records/jails/jail-lists.ts'
import { operationList } from '../records/operations/operation-lists.ts'
import type { NewOperation } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'

export type Metrics = ReturnType<typeof makeMetrics>

const durationBuckets = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3_600]

/**
 * Makes the metrics for Prometheus. Those of the fleet cover all of it and are read on each scrape; the others cover what this
 * producer has applied, so they are to be summed over producers.
 */
export function makeMetrics(store: Store) {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  // These are gauges, whose names must not end so (promtool check metrics); by type they are there without.
  for (const name of ['handles', 'requests', 'resources']) registry.removeSingleMetric(`nodejs_active_${name}_total`)
  const registers = [registry]
  const fleet = new Registry()
  gaugeRecords([fleet], store)

  const complete = new Gauge({
    name: 'provost_records_complete',
    help: 'Whether the records can be read and are complete. While they are not, nothing of the fleet is in the figures.',
    registers,
  })

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

  const own = countOwnWork(registers)

  return {
    contentType: registry.contentType,
    ofFleet: () => fleet.metrics(),
    /** Returns the figures of this producer and, if they are known, those of the fleet. */
    async text(ofFleet: string | undefined): Promise<string> {
      complete.set(ofFleet === undefined ? 0 : 1)
      return `${await registry.metrics()}\n${ofFleet ?? ''}`
    },
    /** Adds the metrics of hosts. */
    watchHosts(hosts: Pick<FleetHosts, 'all'>): void {
      gaugeHosts([fleet], hosts)
      countWorkOfHosts([fleet], store, hosts)
    },
    passed({ name: work, seconds, error }: Pass): void {
      own.passes.inc({ work })
      own.failures.inc({ work }, error === undefined ? 0 : 1)
      own.seconds.inc({ work }, seconds)
    },
    ended({ kind, createdAt }: NewOperation, status: OperationStatus, at: string): void {
      ended.inc({ kind, status })
      durations.observe({ kind }, Math.max(0, Date.parse(at) - Date.parse(createdAt)) / 1000)
    },
    moved: () => moved.inc(),
  }
}

/** Counts background work of this process, by its name. */
function countOwnWork(registers: Registry[]) {
  const counter = (unit: string, help: string) =>
    new Counter({ name: `provost_background_${unit}_total`, help, labelNames: ['work'], registers })
  return {
    passes: counter('passes', 'Passes of background work of this producer.'),
    failures: counter('failures', 'Passes of background work of this producer that failed.'),
    seconds: counter('seconds', 'How long passes of background work of this producer took.'),
  }
}

/** Counts background work of hosts, as their workers count it from their start and write it with each enrolment. */
function countWorkOfHosts(registers: Registry[], { redis, keys }: Store, hosts: Pick<FleetHosts, 'all'>): void {
  const counter = (unit: keyof BackgroundWork[string], help: string) =>
    new Counter({
      name: `provost_host_background_${unit}_total`,
      help,
      labelNames: ['host', 'work'],
      registers,
      async collect() {
        this.reset()
        const ids = hosts.all().map(({ id }) => id)
        const texts = ids.length === 0 ? [] : await redis.mget(ids.map(keys.hostBackground))
        for (const [i, host] of ids.entries())
          for (const [work, totals] of Object.entries(readWork(texts[i]))) this.inc({ host, work }, totals[unit])
      },
    })
  counter('passes', 'Passes of background work of the host, since its worker started.')
  counter('failures', 'Passes of background work of the host that failed.')
  counter('seconds', 'How long passes of background work of the host took.')
}

/** Returns nothing for what cannot be parsed: a worker of another version may have written it. */
function readWork(text: string | null | undefined): BackgroundWork {
  try {
    return BackgroundWork.parse(JSON.parse(text ?? '{}'))
  } catch {
    return {}
  }
}

/** Adds gauges of each host, and of the number of hosts in each state. */
function gaugeHosts(registers: Registry[], hosts: Pick<FleetHosts, 'all'>): void {
  new Gauge({
    name: 'provost_hosts',
    help: 'Hosts by state.',
    labelNames: ['state'],
    registers,
    collect() {
      for (const state of HostState.options) this.set({ state }, hosts.all().filter((host) => host.state === state).length)
    },
  })
  const gauge = (name: string, help: string, amountOf: (host: PlacementHost) => number) =>
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
  gauge('up', 'Whether the host takes jails.', ({ state }) => (state === 'up' ? 1 : 0))
  gauge('operations', 'Operations on the host that have not ended.', ({ operations }) => operations)
  gauge('disk_free_bytes', 'Room on the disk of its worlds and jails.', ({ disk }) => disk?.free ?? Number.NaN)
  gauge('disk_full', 'Whether its disk is too full for more jails.', ({ disk }) => (disk?.isFull ? 1 : 0))
  gauge('drifted_jails', 'Jails that the host has otherwise than the records say.', ({ drift }) => drift)
  gauge('leftovers', 'Jails of which the host has something left that it could not remove.', ({ leftovers }) => leftovers)
  gauge(
    'clock_offset_seconds',
    'By how much the clock of the host is ahead of that of Redis.',
    ({ clockOffsetMs = 0 }) => clockOffsetMs / 1000,
  )
  gauge('refused', 'Jobs and notices that the host has refused since its worker began.', ({ refused = 0 }) => refused)
  gauge('jails', 'Jails promised.', ({ promised }) => promised.jails)
  gauge('capacity_jails', 'Jails that may be promised.', ({ capacity }) => capacity.jails)
  gauge('promised_memory_bytes', 'Memory promised.', ({ promised }) => promised.memory)
  gauge('capacity_memory_bytes', 'Memory that may be promised.', ({ capacity }) => capacity.memory)
  gauge('promised_cpu_cores', 'CPU promised.', ({ promised }) => promised.cpu)
  gauge('capacity_cpu_cores', 'CPU that may be promised.', ({ capacity }) => capacity.cpu)
}

/** Adds gauges of the numbers of records. */
function gaugeRecords(registers: Registry[], { redis, keys }: Store): void {
  const gauge = (name: string, help: string, count: () => Promise<number>) =>
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        this.set(await count())
      },
    })
  const gaugeBy = <L extends string>(name: string, help: string, label: string, of: readonly L[], list: (of: L) => string) =>
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers,
      async collect() {
        for (const each of of) this.set({ [label]: each }, await redis.zcard(list(each)))
      },
    })
  gaugeBy('provost_jails', 'Jails by state.', 'state', JailState.options, (state) => jailList({ state }, keys))
  const open = ['queued', 'running'] as const
  gaugeBy('provost_operations_open', 'Operations that have not ended, by status.', 'status', open, (status) =>
    operationList({ status }, keys),
  )
  gauge('provost_leases', 'Addresses leased.', () => redis.hlen(keys.leases))
  gauge('provost_stray_leases', 'Leases without a jail, in quarantine.', () => redis.zcard(keys.strayLeases))
  const ahead = async () => (await askTime(redis)) / 1000
  gauge('provost_clock_offset_seconds', 'By how much the clock of this producer is ahead of that of Redis.', ahead)
  gauge('provost_reports_pending', 'Reports of workers that are not applied yet.', () => redis.xlen(keys.reports))
}
