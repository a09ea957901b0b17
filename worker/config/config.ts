import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { z } from 'zod'
import { RuntimeName } from '#shared/host.ts'
import { AskedLimits, PlainName } from '#shared/jail.ts'
import { contains, overlaps, parseBlock } from '#shared/network/addresses.ts'
import { Pool } from '#shared/network/pool.ts'
import { isReachable } from '#shared/network/resolver-address.ts'
import { readConfig, readConfigFile } from '#shared/process/read-config.ts'
import { scaledTiming, TimeScale, type Timing } from '#shared/process/timing.ts'
import { RedisUrl } from '#shared/redis/redis-url.ts'
import { Signatures } from '#shared/signing/mode.ts'
import { Size } from '#shared/size.ts'
import { AbsolutePath, misfit, World } from './world.ts'

/** A directory, or a ZFS dataset below a pool, as zfs(8) names them. */
const Root = z
  .string()
  .regex(
    /^(\/.*|[a-zA-Z][a-zA-Z0-9_.:-]*(\/[a-zA-Z0-9][a-zA-Z0-9_.:-]*)+)$/,
    'must be an absolute path, or a ZFS dataset like tank/provost',
  )

/** At most 15 characters (IFNAMSIZ), none of which means anything else to ip(8) or ifconfig(8). */
const InterfaceName = z.string().regex(/^[a-zA-Z][a-zA-Z0-9_]{0,14}$/, 'must be an interface name of at most 15 characters')

/** An interface that is there already; the name of a VLAN's has a dot, like `em0.100` (ifconfig(8)). */
const ParentInterface = z
  .string()
  .regex(/^[a-zA-Z][a-zA-Z0-9_]*(\.[0-9]+)?$/, 'must be an interface name')
  .max(15, 'must have at most 15 characters')

const Resolver = z
  .union([z.ipv4(), z.ipv6()], { message: 'must be an IP address' })
  .refine(isReachable, { message: "is an address of the loopback, which in a jail is the jail's own" })

/** A service of the host that its jails may reach, at any of the host's addresses. */
const AllowedHost = z.strictObject({ protocol: z.enum(['tcp', 'udp']), port: z.int().min(1).max(65_535) })

const Network = z
  .strictObject({
    mode: z.enum(['shared', 'vnet']).default('vnet'),
    interface: ParentInterface.optional(),
    bridge: InterfaceName.optional(),
    pools: z.array(Pool).min(1),
    /** Whom jails ask for names; the host's own servers by default. resolv.conf(5) takes three. */
    resolvers: z.array(Resolver).min(1).max(3).optional(),
    /** What of the host itself jails may reach, where the host filters: on runtime linux. Nothing by default. */
    allowHost: z.array(AllowedHost).max(100).optional(),
  })
  .superRefine((network, context) => {
    const wanted = network.mode === 'vnet' ? 'bridge' : 'interface'
    if (!network[wanted]) context.addIssue({ code: 'custom', path: [wanted], message: `mode ${network.mode} needs it` })
    for (const [i, pool] of network.pools.entries()) {
      const block = parseBlock(pool.cidr)
      if (pool.gateway && !contains(block, parseBlock(pool.gateway)))
        context.addIssue({ code: 'custom', path: ['pools', i, 'gateway'], message: `is not inside ${pool.cidr}` })
      const other = network.pools.slice(0, i).find(({ cidr }) => overlaps(parseBlock(cidr), block))
      if (other) context.addIssue({ code: 'custom', path: ['pools', i, 'cidr'], message: `overlaps pool ${other.name}` })
    }
  })

const defaultCommandPath = '/sbin:/bin:/usr/sbin:/usr/bin'
const defaultEtcDir = '/etc'
const defaultFile = '/usr/local/etc/provost/worker.yaml'

const MemoryLimit = z.enum(['resident', 'reserved'])
export type MemoryLimit = z.output<typeof MemoryLimit>

/** The worker's YAML. Sizes are bytes or strings like `512M`; cpu is in cores. */
export const WorkerFile = z
  .strictObject({
    host: PlainName.default(() => hostname().split('.')[0]?.toLowerCase() ?? 'localhost'),
    runtime: RuntimeName.default(process.platform === 'freebsd' ? 'freebsd' : 'linux'),
    root: Root,
    commandPath: z.string().default(defaultCommandPath),
    /** The host's own /etc. */
    etcDir: AbsolutePath.default(defaultEtcDir),
    network: Network,
    capacity: z.strictObject({
      jails: z.int().positive(),
      memory: Size,
      cpu: z.number().positive(),
      disk: Size.optional(),
      fills: z.int().positive().default(1),
      builds: z.int().positive().default(2),
      starts: z.int().positive().default(2),
    }),
    defaults: AskedLimits.omit({ disk: true }).required(),
    /**
     * How memory is limited, on runtime freebsd (rctl(8)): `resident` kills what has touched more than its limit; `reserved` refuses beside
     * it what would reserve more, of which programs that reserve much and use little get too little to start.
     */
    limits: z.strictObject({ memory: MemoryLimit.default('resident') }).optional(),
    /** What jails may ask for. */
    privileges: z.strictObject({ setuid: z.boolean().optional() }).optional(),
    worlds: z
      .array(World)
      .min(1)
      .refine((worlds) => new Set(worlds.map(({ name }) => name)).size === worlds.length, { message: 'a name stands twice' }),
    labels: z.record(PlainName, z.string().max(256)).default({}),
    /** The file of what this host joined the fleet with; `identity.json` in its root by default. */
    identity: AbsolutePath.optional(),
    /** A file with the token that it joins with, when it has not joined yet. */
    joinTokenFile: AbsolutePath.optional(),
  })
  .superRefine(({ worlds, runtime, root, privileges, limits, network }, context) => {
    if (runtime === 'freebsd' && network.allowHost)
      context.addIssue({
        code: 'custom',
        path: ['network', 'allowHost'],
        message: 'is known to runtime linux only: this runtime sets no packet filter, so jails reach all that the host serves',
      })
    if (runtime === 'linux' && limits?.memory === 'reserved')
      context.addIssue({ code: 'custom', path: ['limits', 'memory'], message: 'reserved is known to runtime freebsd only' })
    if (runtime === 'freebsd' && privileges?.setuid === false)
      context.addIssue({
        code: 'custom',
        path: ['privileges', 'setuid'],
        message: 'cannot be denied: setuid programs give their rights in every jail of runtime freebsd',
      })
    if (runtime === 'linux' && !root.startsWith('/'))
      context.addIssue({ code: 'custom', path: ['root'], message: 'must be an absolute path: only runtime freebsd knows ZFS' })
    for (const [i, world] of worlds.entries()) {
      const fault = misfit(world, runtime)
      if (fault) context.addIssue({ code: 'custom', path: ['worlds', i, fault.field], message: fault.message })
    }
  })

const Environment = z.object({
  PROVOST_REDIS_URL: RedisUrl.default('redis://127.0.0.1:6379'),
  PROVOST_REDIS_PREFIX: z.string().min(1).default('{provost}'),
  PROVOST_CONFIG: z.string().min(1).optional(),
  PROVOST_SIGNATURES: Signatures,
  PROVOST_URL: z.url().default('http://127.0.0.1:7070'),
  PROVOST_TIME_SCALE: TimeScale,
  PROVOST_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
})

export type WorkerConfig = z.output<typeof WorkerFile> & {
  redisUrl: string
  redisPrefix: string
  logLevel: string
  timing: Timing
  signatures?: Signatures
  /** Where it joins. */
  producerUrl?: string
}

/** @throws ConfigError naming every fault of the environment or of the file. */
export function readWorkerConfig(environment: NodeJS.ProcessEnv, file?: string): WorkerConfig & { producerUrl: string } {
  const env = readConfig(Environment, environment, 'The environment')
  return { ...readConfigFile(WorkerFile, file ?? env.PROVOST_CONFIG ?? defaultFile), ...settingsOf(env) }
}

/** What is known of a host without any configuration: nobody has named a file, and the default one (`file`) is not there. */
type Unconfigured = ReturnType<typeof settingsOf> & { commandPath: string; etcDir: string; file: string }

/** Returns undefined where there is a configuration, or one is named. @throws ConfigError naming every fault of the environment. */
export function readUnconfigured(environment: NodeJS.ProcessEnv, file?: string): Unconfigured | undefined {
  const env = readConfig(Environment, environment, 'The environment')
  if ((file ?? env.PROVOST_CONFIG) !== undefined || existsSync(defaultFile)) return undefined
  return { ...settingsOf(env), commandPath: defaultCommandPath, etcDir: defaultEtcDir, file: defaultFile }
}

function settingsOf(env: z.output<typeof Environment>) {
  return {
    redisUrl: env.PROVOST_REDIS_URL,
    redisPrefix: env.PROVOST_REDIS_PREFIX,
    logLevel: env.PROVOST_LOG_LEVEL,
    signatures: env.PROVOST_SIGNATURES,
    producerUrl: env.PROVOST_URL,
    timing: scaledTiming(env.PROVOST_TIME_SCALE),
  }
}
