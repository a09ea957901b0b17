import { z } from 'zod'
import { JailName, JailState, Limits, PlainName } from './jail.ts'
import { JailSpec } from './job.ts'
import { Pool } from './network/pool.ts'
import { OperationKind } from './operation.ts'

/** By how much a host's clock may differ from that of Redis, in milliseconds, before somebody should set it. */
export const toleratedOffMs = 2_000

/** What a host promises to jails up to its capacity, in the order in which shortages are reported. */
export const resources = ['jails', 'memory', 'cpu', 'disk'] as const
export type Resource = (typeof resources)[number]

/** The declared capacity of a host: bytes, cores, counts. Declaring `disk` enables `limits.disk`. */
export const Capacity = z.object({
  jails: z.int().positive(),
  memory: z.int().positive(),
  cpu: z.number().positive(),
  disk: z.int().positive().optional(),
  fills: z.int().positive(),
  builds: z.int().positive(),
  starts: z.int().positive(),
})
export type Capacity = z.infer<typeof Capacity>

export const WorldState = z.object({
  name: PlainName,
  digest: z.string(),
  method: z.string(),
  state: z.enum(['absent', 'filling', 'ready', 'failed']),
  prefill: z.boolean(),
  /** Only while it fills. */
  percent: z.int().optional(),
  /** Why the last fill failed. */
  error: z.string().optional(),
  /** Duration of the fill that made it, in milliseconds, without earlier failed fills. */
  fillMs: z.int().optional(),
})
export type WorldState = z.infer<typeof WorldState>

/** How a host makes jails. */
export const RuntimeName = z.enum(['freebsd', 'linux'])
export type RuntimeName = z.infer<typeof RuntimeName>

/** In which jails of a host setuid programs give their rights: in none, in those that ask for it, or in all, as on FreeBSD. */
export const SetuidSupport = z.enum(['never', 'on-request', 'always'])
export type SetuidSupport = z.infer<typeof SetuidSupport>

/** What a host can do for its jails beyond the rest. Of a worker that does not know of setuid programs, they give no rights. */
const Supports = z.object({ diskLimit: z.boolean(), setuid: SetuidSupport.default('never') })
export type Supports = z.infer<typeof Supports>

/** What a host is and has; written when it changes. */
export const HostReport = z.object({
  id: PlainName,
  runtime: RuntimeName,
  platform: z.string(),
  worlds: z.array(WorldState),
  pools: z.array(Pool),
  capacity: Capacity,
  defaults: Limits.pick({ memory: true, cpu: true, processes: true }),
  supports: Supports,
  labels: z.record(z.string(), z.string()),
  versions: z.object({ provost: z.string(), node: z.string(), os: z.string(), plans: z.array(z.int()) }),
  pid: z.int(),
  startedAt: z.iso.datetime(),
  /** Why its worker takes no jobs: its root is not the one that has the fleet's jails, or its journal is gone. */
  unfit: z.string().optional(),
})
export type HostReport = z.infer<typeof HostReport>

/** The disk of a host's worlds and jails, in bytes. `isFull`: it takes no more jails; `isRefusing`: a write has lately failed. */
export const HostDisk = z.object({ free: z.number(), total: z.number(), isFull: z.boolean(), isRefusing: z.boolean() })
export type HostDisk = z.infer<typeof HostDisk>

/** What a worker writes at every heartbeat; small, since a producer reads the beats of all hosts every second. */
export const HostBeat = z.object({
  /** Changes with the host's report: only then is the report read again. */
  report: z.string(),
  load: z.object({ fills: z.int(), builds: z.int(), starts: z.int(), jails: z.int(), loadAverage: z.number() }),
  /** The number of its drifted jails. */
  drift: z.int().default(0),
  /** The number of jails with leftovers. */
  leftovers: z.int().default(0),
  /** The id of the fleet that its jails belong to; omitted by a host that has never had one. */
  fleet: z.string().optional(),
  disk: HostDisk.optional(),
  /** The highest epoch in its journal: a Redis with a lower one is older than the host. */
  epoch: z.int().optional(),
  /** By how many milliseconds its clock is ahead of Redis'; negative when it is behind. */
  clockOffsetMs: z.int().optional(),
  /** How many jobs and notices it has refused since its worker's start, because no producer had signed them for it. */
  refused: z.int().optional(),
  at: z.iso.datetime(),
})
export type HostBeat = z.infer<typeof HostBeat>

const drifted = { jail: JailName, reason: z.string(), since: z.iso.datetime() }

/**
 * A jail that is not as its record wants it: stopped by hand, gone with its root, taken off the network, without its command,
 * which has failed, missing in its host's journal, with an address that is in no pool any more, with a privilege that its host
 * does not allow any more, or unknown to the fleet (an orphan, with all that is needed to adopt or clean it).
 */
export const Drift = z.discriminatedUnion('found', [
  z.object({ found: z.enum(['stopped', 'gone', 'unlinked', 'command-died', 'missing', 'unpooled', 'unallowed']), ...drifted }),
  z.object({
    found: z.literal('orphan'),
    ...drifted,
    spec: JailSpec,
    epoch: z.int(),
    wanted: z.enum(['running', 'stopped', 'gone']),
  }),
])
export type Drift = z.infer<typeof Drift>

/** What an operation could not remove from a host; its removal is retried until it succeeds. `attempts` counts the retries. */
export const Leftover = z
  .object({
    jail: JailName,
    steps: z.array(z.string()),
    since: z.iso.datetime(),
    attempts: z.int(),
    lastError: z.string(),
    nextTryAt: z.iso.datetime(),
  })
  .meta({ id: 'Leftover' })
export type Leftover = z.infer<typeof Leftover>

/**
 * Durations of steps on a host in milliseconds, by world, then by step. `fill` is the fill of that world, `fill-world` the
 * step with a ready world; a kind of operation, like `provision`, stands for all its steps except a fill.
 */
export const Timings = z.record(z.string(), z.record(z.string(), z.object({ p50: z.number(), p90: z.number() })))
export type Timings = z.infer<typeof Timings>

/** A worker's background work since its start, by name: passes, how many of them failed, and their seconds in all. */
export const BackgroundWork = z.record(z.string(), z.object({ passes: z.int(), failures: z.int(), seconds: z.number() }))
export type BackgroundWork = z.infer<typeof BackgroundWork>

export const HostState = z.enum(['up', 'draining', 'down', 'incompatible'])
export type HostState = z.infer<typeof HostState>

/** A host as HTTP shows it. */
export const Host = z
  .object({
    id: PlainName,
    state: HostState,
    /** Why it is not `up`, or takes no jails all the same. */
    reason: z.string().optional(),
    ...HostReport.pick({ runtime: true, platform: true, worlds: true, pools: true, capacity: true }).shape,
    supports: Supports.optional(),
    promised: z.object({ jails: z.int(), memory: z.int(), cpu: z.number(), disk: z.int() }),
    load: HostBeat.shape.load,
    disk: HostDisk.optional(),
    /** Open operations on it. A draining host ends up with none. */
    operations: z.int(),
    /** The number of drifted jails; `GET /v1/hosts/ID` lists them. */
    drift: z.int(),
    /** The number of jails with leftovers; `GET /v1/hosts/ID/leftovers` lists them. */
    leftovers: z.int(),
    labels: z.record(z.string(), z.string()),
    lastSeen: z.iso.datetime(),
    /** By how many milliseconds its clock is ahead of Redis'; missing from a worker that does not tell. */
    clockOffsetMs: z.int().optional(),
    /** How many jobs and notices it has refused since its worker's start, because no producer had signed them for it. */
    refused: z.int().optional(),
    versions: HostReport.shape.versions,
  })
  .meta({ id: 'Host' })
export type Host = z.infer<typeof Host>

/** A single host as HTTP shows it, with its drifted jails. */
export const HostInDetail = Host.extend({
  drifts: z.array(
    z.object({
      found: z.enum(['stopped', 'gone', 'unlinked', 'command-died', 'missing', 'unpooled', 'unallowed', 'orphan']),
      jail: z.string(),
      reason: z.string(),
      since: z.string(),
    }),
  ),
}).meta({ id: 'HostInDetail' })
export type HostInDetail = z.infer<typeof HostInDetail>

/** What would go with a host that is forgotten now. */
export const DryRunOfForget = z
  .object({
    dryRun: z.literal(true),
    host: PlainName,
    operations: z
      .array(z.object({ id: z.string(), kind: OperationKind, jail: z.string().nullable() }))
      .describe('Those that would fail with it.'),
    jails: z
      .array(z.object({ name: JailName, client: PlainName, state: JailState, addresses: z.array(z.string()) }))
      .describe('Those that would leave the records; nothing is done to them on the host.'),
    addressesHeld: z.int(),
    addressesFreed: z.int(),
  })
  .meta({ id: 'DryRunOfForget' })
export type DryRunOfForget = z.infer<typeof DryRunOfForget>

/** Which orphans of a host would be destroyed now; `refused`: why not, as the whole request would be answered. */
export const DryRunOfClean = z
  .object({
    dryRun: z.literal(true),
    jails: z.array(
      z.object({
        name: JailName,
        client: PlainName,
        world: PlainName,
        addresses: z.array(z.string()),
        since: z.iso.datetime(),
        refused: z.object({ code: z.string(), detail: z.string() }).optional(),
      }),
    ),
  })
  .meta({ id: 'DryRunOfClean' })
export type DryRunOfClean = z.infer<typeof DryRunOfClean>
