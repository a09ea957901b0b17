import { z } from 'zod'
import { JailName, Limits, PlainName } from './jail.ts'
import { JailSpec } from './job.ts'
import { Pool } from './network/pool.ts'

/** What a host has a capacity of and promises to jails, in the order in which a lack of it is told. */
export const resources = ['jails', 'memory', 'cpu', 'disk'] as const
export type Resource = (typeof resources)[number]

/** What a host promises at most, by declaration. Bytes, cores, counts. `disk` declared enables `limits.disk`. */
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
  /** While it fills. */
  percent: z.int().optional(),
  /** Why the last fill failed. */
  error: z.string().optional(),
  /** How long the last fill took that made it, in milliseconds, without what failed before it. */
  fillMs: z.int().optional(),
})
export type WorldState = z.infer<typeof WorldState>

/** What a host is and has. Written when it changes. */
export const HostReport = z.object({
  id: PlainName,
  runtime: z.enum(['freebsd', 'linux']),
  platform: z.string(),
  worlds: z.array(WorldState),
  pools: z.array(Pool),
  capacity: Capacity,
  defaults: Limits.pick({ memory: true, cpu: true, processes: true }),
  supports: z.object({ diskLimit: z.boolean() }),
  labels: z.record(z.string(), z.string()),
  versions: z.object({ provost: z.string(), node: z.string(), os: z.string(), plans: z.array(z.int()) }),
  pid: z.int(),
  startedAt: z.iso.datetime(),
})
export type HostReport = z.infer<typeof HostReport>

/** What a worker writes of its host at every heartbeat; small, since a producer reads those of all hosts each second. */
export const HostBeat = z.object({
  /** Differs when the host's report does: only then is it read again. */
  report: z.string(),
  load: z.object({ fills: z.int(), builds: z.int(), starts: z.int(), jails: z.int(), loadAverage: z.number() }),
  /** How many entries its drift has. */
  drift: z.int().default(0),
  /** Of how many jails it has something left that should be gone. */
  leftovers: z.int().default(0),
  /** The id of the fleet that it knows its jails by; left out by a host that has had none. */
  fleet: z.string().optional(),
  at: z.iso.datetime(),
})
export type HostBeat = z.infer<typeof HostBeat>

/**
 * One jail that a host has otherwise than the records say: stopped by hand, gone with its root, or unknown to the fleet
 * (an orphan, with all that is needed to adopt or clean it).
 */
export const Drift = z.discriminatedUnion('found', [
  z.object({ found: z.enum(['stopped', 'gone']), jail: JailName, reason: z.string(), since: z.iso.datetime() }),
  z.object({
    found: z.literal('orphan'),
    jail: JailName,
    reason: z.string(),
    since: z.iso.datetime(),
    spec: JailSpec,
    epoch: z.int(),
    wanted: z.enum(['running', 'stopped', 'gone']),
  }),
])
export type Drift = z.infer<typeof Drift>

/** What an operation could not take off a host: tried again until it is gone. `attempts`: of those tries. */
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
 * How long steps took on a host, in milliseconds: by world, then by step. `fill` is the fill of that world, `fill-world`
 * when it was ready; a kind of operation, like `provision`, is all its steps but a fill.
 */
export const Timings = z.record(z.string(), z.record(z.string(), z.object({ p50: z.number(), p90: z.number() })))
export type Timings = z.infer<typeof Timings>

/** Passes of a worker's background work since its start, by the work's name: how many, of them failed, and how long in all. */
export const BackgroundWork = z.record(z.string(), z.object({ passes: z.int(), failures: z.int(), seconds: z.number() }))
export type BackgroundWork = z.infer<typeof BackgroundWork>

export const HostState = z.enum(['up', 'draining', 'down', 'incompatible'])
export type HostState = z.infer<typeof HostState>

/** A host as HTTP shows it. */
export const Host = z
  .object({
    id: PlainName,
    state: HostState,
    /** Why it is not `up`. */
    reason: z.string().optional(),
    runtime: z.enum(['freebsd', 'linux']),
    platform: z.string(),
    worlds: z.array(WorldState),
    pools: z.array(Pool),
    capacity: Capacity,
    promised: z.object({ jails: z.int(), memory: z.int(), cpu: z.number(), disk: z.int() }),
    load: HostBeat.shape.load,
    /** Operations on it that have not ended. A draining host is empty of them in the end. */
    operations: z.int(),
    /** Jails that are otherwise than the records say; `GET /v1/hosts/ID` lists them. */
    drift: z.int(),
    /** Jails of which something is left that could not be removed; `GET /v1/hosts/ID/leftovers` lists them. */
    leftovers: z.int(),
    labels: z.record(z.string(), z.string()),
    lastSeen: z.iso.datetime(),
    versions: HostReport.shape.versions,
  })
  .meta({ id: 'Host' })
export type Host = z.infer<typeof Host>

/** A host on its own: with each jail that it has otherwise than the records say. */
export const HostInDetail = Host.extend({
  drifts: z.array(
    z.object({ found: z.enum(['stopped', 'gone', 'orphan']), jail: z.string(), reason: z.string(), since: z.string() }),
  ),
}).meta({ id: 'HostInDetail' })
export type HostInDetail = z.infer<typeof HostInDetail>
