import { z } from 'zod'
import { familyOf, isExclusion } from './addresses.ts'
import { Limits, PlainName } from './jail.ts'

/** A pool of addresses that a host gives to jails: one CIDR, with its gateway and what is not to be given out. */
export const Pool = z
  .object({
    name: PlainName,
    cidr: z.union([z.cidrv4(), z.cidrv6()]),
    gateway: z.union([z.ipv4(), z.ipv6()]).optional(),
    exclude: z.array(z.string()).default([]),
  })
  .superRefine(({ cidr, exclude }, context) => {
    const message = 'must be an address, a CIDR or FIRST-LAST of the family of the pool'
    for (const [i, text] of exclude.entries())
      if (!isExclusion(text, familyOf(cidr))) context.addIssue({ code: 'custom', path: ['exclude', i], message })
  })
export type Pool = z.infer<typeof Pool>

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
})
export type WorldState = z.infer<typeof WorldState>

export const hostHeartbeatMs = 3_000
export const hostSilentMs = 10_000

/** What a worker writes of its host every `hostHeartbeatMs`. */
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
  load: z.object({ fills: z.int(), builds: z.int(), starts: z.int(), jails: z.int(), loadAverage: z.number() }),
  versions: z.object({ provost: z.string(), node: z.string(), os: z.string(), plans: z.array(z.int()) }),
  pid: z.int(),
  startedAt: z.iso.datetime(),
  reportedAt: z.iso.datetime(),
})
export type HostReport = z.infer<typeof HostReport>

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
    load: HostReport.shape.load,
    labels: z.record(z.string(), z.string()),
    lastSeen: z.iso.datetime(),
    versions: HostReport.shape.versions,
  })
  .meta({ id: 'Host' })
export type Host = z.infer<typeof Host>
