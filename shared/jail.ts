import { z } from 'zod'
import { ErrorCodeText } from './error-code.ts'
import { Size } from './size.ts'

/** The subset of jail(8) names that is safe everywhere: no dot (hierarchy), no `=` (parameters), never only digits. */
export const JailName = z.string().regex(/^[a-z][a-z0-9_]{0,29}$/, 'must be at most 30 of a-z, 0-9 and _, the first a letter')

/** The names of worlds, clients, hosts and label keys. */
export const PlainName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be at most 63 of a-z, 0-9 and ._-, the first a letter or a digit')

/** What people call a client, in any script. A control character would reach their terminals; one of direction would mislead them. */
export const ClientName = z
  .string()
  .trim()
  .min(1, 'must have at least 1 character')
  .max(200, 'must have at most 200 characters')
  .refine((name) => !/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(name), 'must have no control characters')

/** RFC 1123; at most 64 characters, the limit of sethostname(2) on Linux. */
export const Hostname = z
  .string()
  .max(64, 'must have at most 64 characters')
  .regex(
    /^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/,
    'must be a host name (RFC 1123)',
  )

/** A word of a command. A NUL would end it (execve(2)), a line end would break the lines of logs and lists that show it. */
const mostWordBytes = 4_096
const Word = z
  .string()
  .regex(/^[^\0\n\r]*$/, 'may have no NUL and no line end')
  .max(mostWordBytes, { error: `may have at most ${mostWordBytes} bytes`, abort: true })
  .refine((word) => Buffer.byteLength(word) <= mostWordBytes, `may have at most ${mostWordBytes} bytes`)
  .refine((word) => word.isWellFormed(), 'must be well-formed text')

/** An argument array, run as it is: no shell is involved, so blanks, quotes and `$` mean nothing in it. */
export const Command = z
  .array(Word)
  .min(1)
  .max(32)
  .refine(([program]) => program !== '', 'must begin with a program')

/** How a jail's own command fares, as its host says. Without an exit code nobody saw its end; one that a signal ended has 128 and its number. */
export const CommandState = z
  .object({
    state: z.enum(['running', 'ended']),
    exitCode: z.int().nullable(),
    startedAt: z.iso.datetime(),
    endedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'CommandState' })
export type CommandState = z.infer<typeof CommandState>

/**
 * What a jail's own command does: it is `starting` until its jail runs, and has `exited` in one that does not run. `exitCode` only
 * where its end was seen; `signal` where a signal ended it, like `SIGKILL` (the exit code is then 128 and the signal's number).
 */
export const JailCommand = z
  .object({
    argv: z.array(z.string()),
    state: z.enum(['starting', 'running', 'exited']),
    exitCode: z.int().optional(),
    signal: z.string().optional(),
    startedAt: z.iso.datetime().nullable(),
    endedAt: z.iso.datetime().optional(),
  })
  .meta({ id: 'JailCommand' })
export type JailCommand = z.infer<typeof JailCommand>

/** A requested address: IPv4 or IPv6, with or without a prefix length. Its pool is checked later. */
const AskedAddress = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], {
  error: 'must be an IPv4 or IPv6 address, like 10.0.0.7 or 10.0.0.7/24',
})

const Cpu = z.number().min(0.01).max(1024).multipleOf(0.001)
const Processes = z.int().min(1).max(1_000_000)

/** The processes that start a jail do not fit into less. */
const smallestMemory = 4 * 1024 ** 2
const Memory = Size.refine((bytes) => bytes >= smallestMemory, 'must be at least 4M')

/** The limits in a request: sizes as bytes or strings like `512M`, cpu in cores. */
export const AskedLimits = z.strictObject({
  memory: Memory.optional(),
  cpu: Cpu.optional(),
  processes: Processes.optional(),
  disk: Size.optional(),
})

/** The limits of a jail: bytes, cores, a count. `disk` only on hosts that can enforce it. */
export const Limits = z.object({
  memory: z.int().positive(),
  cpu: Cpu,
  processes: Processes,
  disk: z.int().positive().optional(),
})
export type Limits = z.infer<typeof Limits>

/** What a request asks for beyond what programs in every jail may do. A privilege that is not asked for is not given. */
const AskedPrivileges = z.strictObject({
  setuid: z.boolean().optional().describe('That setuid and setgid programs give their rights. No capability is added for it.'),
})

/** The privileges of a jail. Each is optional: older records, jobs and journals do not have it. */
export const Privileges = z.object({ setuid: z.boolean().optional() })
export type Privileges = z.infer<typeof Privileges>

export const Labels = z.record(PlainName, z.string().max(256)).refine((labels) => Object.keys(labels).length <= 64, {
  message: 'at most 64 labels',
})

export const CreateJail = z
  .strictObject({
    name: JailName,
    client: PlainName,
    clientName: ClientName.optional(),
    world: PlainName,
    hostname: Hostname.optional(),
    host: PlainName.optional(),
    addresses: z.array(AskedAddress).min(1).max(16).optional(),
    limits: AskedLimits.optional(),
    privileges: AskedPrivileges.optional(),
    command: Command.optional(),
    labels: Labels.optional(),
  })
  .meta({ id: 'CreateJail' })
export type CreateJail = z.infer<typeof CreateJail>

/** The default host name of a jail: its name with `_` replaced by `-`, without trailing `-`. */
export function defaultHostname(name: string): string {
  return name.replaceAll('_', '-').replace(/-+$/, '')
}

const IsolationCheck = z.object({ name: z.string(), ok: z.boolean(), detail: z.string() })

/** The result of the checks from outside the jail after its last start. */
export const Isolation = z.object({ checkedAt: z.iso.datetime(), checks: z.array(IsolationCheck) })
export type Isolation = z.infer<typeof Isolation>

export const JailState = z.enum([
  'queued',
  'building',
  'built',
  'starting',
  'running',
  'stopping',
  'stopped',
  'failed',
  'destroying',
])
export type JailState = z.infer<typeof JailState>

/** A jail as HTTP shows it. Addresses are in CIDR form, IPv4 first; sizes are bytes; times RFC 3339 UTC. */
export const Jail = z
  .object({
    name: JailName,
    client: PlainName,
    clientName: ClientName.optional(),
    hostname: Hostname,
    world: PlainName,
    host: PlainName,
    addresses: z.array(z.string()),
    limits: Limits,
    privileges: Privileges.optional(),
    /** Of a jail with a command of its own. */
    command: JailCommand.optional(),
    labels: Labels,
    state: JailState,
    /** Why it is in this state when no operation put it there: stopped by hand, gone from its host. */
    reason: z.string().optional(),
    jid: z.int().nullable(),
    epoch: z.int(),
    isolation: Isolation.optional(),
    lastOperation: z.string(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'Jail' })
export type Jail = z.infer<typeof Jail>

/** Where a jail would go if it were admitted now, or why it fits nowhere. */
export const DryRun = z
  .object({
    fits: z.boolean(),
    host: z.string().nullable(),
    addresses: z.array(z.string()),
    limits: Limits.nullable(),
    reason: z.object({ code: ErrorCodeText, detail: z.string() }).optional(),
    hosts: z.array(
      z.object({ host: z.string(), fits: z.boolean(), code: ErrorCodeText.optional(), detail: z.string().optional() }),
    ),
  })
  .meta({ id: 'DryRun' })
export type DryRun = z.infer<typeof DryRun>
