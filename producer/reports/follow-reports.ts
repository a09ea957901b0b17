import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { v7 as uuid } from 'uuid'
import { hasEnded } from '#shared/operation.ts'
import type { Follow } from '#shared/process/repeat.ts'
import type { Running } from '#shared/process/services.ts'
import type { Timing } from '#shared/process/timing.ts'
import { isRedisAway } from '#shared/redis/redis-away.ts'
import { type JailReport, Report } from '#shared/report.ts'
import type { Change } from '../records/change.ts'
import type { OperationRecord } from '../records/operations/operation-record.ts'
import type { Store } from '../records/store.ts'
import { applyJailReport, applyOperationReport } from './apply-report.ts'
import type { Metrics } from './metrics.ts'

type Deps = Store & {
  /** A connection of its own: it blocks. */
  reader: Redis
  log: Logger
  follow: Follow
  metrics: Pick<Metrics, 'ended'>
  /** After how long reports that another producer has read and not applied are taken over. */
  timing: Pick<Timing, 'abandoned'>
}

type Entry = [id: string, fields: string[]]

const group = 'producers'
const atOnce = 200
const blockMs = 2_000

/**
 * Applies the reports of workers, in the order of the stream. Each is applied by one of the producers; one that is applied twice
 * changes nothing. An applied report is removed from the stream.
 */
export function followReports(deps: Deps): Running {
  const { reader, redis, keys, timing } = deps
  const consumer = uuid()
  let hasGroup = false

  async function next(): Promise<void> {
    const [, left] = (await redis.xautoclaim(keys.reports, group, consumer, timing.abandoned, '0', 'COUNT', atOnce)) as [
      string,
      Entry[],
    ]
    const abandoned = left.filter(([, fields]) => fields)
    if (abandoned.length > 0) return applyEntries(deps, abandoned)
    const count = ['COUNT', atOnce, 'BLOCK', blockMs] as const
    const answer = await reader.xreadgroup('GROUP', group, consumer, ...count, 'STREAMS', keys.reports, '>')
    const entries = (answer as [string, Entry[]][] | null)?.[0]?.[1] ?? []
    if (entries.length > 0) await applyEntries(deps, entries)
  }

  const following = deps.follow('follow-reports', async () => {
    if (!hasGroup) await ensureGroup(deps)
    // The group is ensured again after a failure: Redis may have come back empty.
    hasGroup = false
    await next()
    hasGroup = true
  })
  return {
    name: following.name,
    stop(): unknown {
      const stopped = following.stop()
      reader.disconnect()
      return stopped
    },
  }
}

async function ensureGroup({ redis, keys }: Store): Promise<void> {
  await redis.xgroup('CREATE', keys.reports, group, '0', 'MKSTREAM').catch((error: Error) => {
    if (!error.message.startsWith('BUSYGROUP')) throw error
  })
}

async function applyEntries(deps: Deps, entries: Entry[]): Promise<void> {
  const { redis, keys, log } = deps
  // Reports on one jail are applied in their order; those on different jails do not wait for each other.
  const bySubject = Map.groupBy(entries.map(parseEntry), ({ report }) => report && subjectOf(report))
  const done: string[] = []
  await Promise.all(
    [...bySubject.values()].map(async (group) => {
      for (const { id, report, fault } of group) {
        if (!report) log.error({ entry: id, fault }, 'a report that cannot be read is dropped')
        if (!report || (await applyReport(deps, report).catch((error) => dropUnlessAway(error, id, log)))) done.push(id)
      }
    }),
  )
  if (done.length === 0) return
  await redis
    .multi()
    .xack(keys.reports, group, ...done)
    .xdel(keys.reports, ...done)
    .exec()
}

/** A report that cannot be applied must not block those after it. */
function dropUnlessAway(error: Error, id: string, log: Logger): true {
  if (isRedisAway(error)) throw error
  log.error({ err: error, entry: id }, 'a report that cannot be applied is dropped')
  return true
}

/** Returns whether a report is done with. One that came too early stays in the stream, and is read again. */
async function applyReport(deps: Deps, report: Report): Promise<boolean> {
  const { redis, keys, records, metrics } = deps
  if (report.type === 'enrol') {
    await redis.sadd(keys.hosts, report.host)
    return true
  }
  if (report.type === 'jail') {
    if (await isEarly(deps, report)) return false
    await commitUntilDone(deps, async () => applyJailReport(report, await records.jail(report.jail), keys))
    return true
  }
  let operation: OperationRecord | undefined
  const applied = await commitUntilDone(deps, async () => {
    const jailOf = report.type === 'operation' ? records.jail(report.jail) : undefined
    const [record, jail] = await Promise.all([records.operation(report.operation), jailOf])
    operation = record
    return applyOperationReport(report, record, jail, keys)
  })
  if (applied && operation && hasEnded(report.status)) metrics.ended(operation, report.status, report.at)
  return true
}

/** Whether a report on a jail has overtaken the end of its operation, which another producer may have read but not applied. */
async function isEarly({ records }: Store, { jail: name, epoch }: JailReport): Promise<boolean> {
  const jail = await records.jail(name)
  if (jail?.epoch !== epoch) return false
  const last = await records.operation(jail.lastOperation)
  return last !== undefined && last.epoch === epoch && !hasEnded(last.status)
}

/** Commits a change, decided again as long as records change meanwhile. Returns whether there was a change to commit. */
async function commitUntilDone({ scripts }: Store, decide: () => Promise<Change | undefined>): Promise<boolean> {
  for (;;) {
    const change = await decide()
    if (!change) return false
    if ((await scripts.commit(change)).type !== 'changed') return true
  }
}

function subjectOf(report: Report): string {
  if ('jail' in report) return report.jail
  return 'operation' in report ? report.operation : report.type
}

function parseEntry([id, fields]: Entry): { id: string; report?: Report; fault?: string } {
  try {
    return { id, report: Report.parse(JSON.parse(fields[fields.indexOf('report') + 1] ?? 'null')) }
  } catch (error) {
    return { id, fault: error instanceof Error ? error.message : String(error) }
  }
}
