import { stat } from 'node:fs/promises'
import type { Logger } from 'pino'
import { backgroundWork } from '#shared/process/repeat.ts'
import { type RetryPolicy, stepRetry } from '#shared/process/retry-policy.ts'
import type { Services } from '#shared/process/services.ts'
import { connectRedis, waitForEver } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import type { WorkerConfig } from '../config/config.ts'
import type { HostRuntime } from '../host/host-runtime.ts'
import type { RunCommand } from '../host/programs/run-command.ts'
import type { Identity } from '../identity/identity.ts'
import { makeRefusals, requireIdentity } from '../identity/require-identity.ts'
import { makeJailLocks } from '../jails/jail-locks.ts'
import { type JournalFiles, journalFiles } from '../journal/file.ts'
import { openOperationLog } from '../plans/operation-log.ts'
import { knownPlans } from '../plans/plans.ts'
import type { RunDeps } from '../plans/run.ts'
import { countPasses } from '../reports/count-passes.ts'
import { openPresence } from '../reports/presence.ts'
import { makeHostReporter } from '../reports/report-host.ts'
import { openReportStream } from '../reports/report-stream.ts'

/** `plans`: the plan versions that the worker knows. `amend`: changes what runs work with, for tests that plant faults. */
export type Parts = {
  host: HostRuntime
  run: RunCommand
  log: Logger
  retry?: RetryPolicy
  plans?: readonly number[]
  files?: JournalFiles
  /** What the host joined the fleet with, for tests; read from its file otherwise. */
  identity?: Identity | undefined
  amend?(deps: RunDeps): RunDeps
}

type Connections = ReturnType<typeof connect>

/** A subscriber needs a connection of its own. */
export function connect({ redisUrl }: WorkerConfig, log: Logger) {
  const open = () => {
    const connection = connectRedis(redisUrl, { ...waitForEver, lazyConnect: true })
    connection.on('error', (error) => log.warn({ err: error.message }, 'redis'))
    return connection
  }
  return { redis: open(), subscriber: open() }
}

type Opened = Connections & { directory: string; services: Services; stopping: AbortSignal }
export type Base = Awaited<ReturnType<typeof openBase>>

/** Opens what all parts share. */
export async function openBase(config: WorkerConfig, parts: Parts, opened: Opened) {
  const { host, run, log, plans = knownPlans, retry = stepRetry, files = journalFiles, amend = (deps) => deps } = parts
  const keys = redisKeys(config.redisPrefix)
  const passes = countPasses()
  const root = `${opened.directory}, inode ${(await stat(opened.directory)).ino}`
  const worker = `${root}, boot ${await host.bootId()}`
  const { hostAlive, hostBeat } = keys
  const named = { key: hostAlive(config.host), beatKey: hostBeat(config.host), worker, lastsMs: config.timing.silence }
  const presence = openPresence(opened.redis, config.host, named)
  const refused = makeRefusals(log)
  const base = {
    ...opened,
    identity: parts.identity ?? (await requireIdentity(config, opened.directory)),
    refused: refused.note,
    refusals: refused.count,
    ...{ config, hostId: config.host, timing: config.timing, host, run, log, plans, retry, files, amend, keys, root, presence },
    ...openReportStream(opened.redis, keys, presence),
    repeat: backgroundWork(log, passes.count).repeat,
    background: passes.totals,
    withJail: makeJailLocks(),
    operationLog: (operation: string) => openOperationLog(opened.redis, keys.log(config.host, operation)),
  }
  return { ...base, reporter: makeHostReporter(base) }
}
