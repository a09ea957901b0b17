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
  /** What another producer has taken and not applied for so long is taken over. */
  timing: Pick<Timing, 'abandoned'>
}

type Entry = [id: string, fields: string[]]

const group = 'producers'
const atOnce = 200
const blockMs = 2_000

/**
 * Applies what workers report, in the order they said it. Of several producers each report is applied by one; one that is
 * applied twice changes nothing. An applied report leaves the stream.
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
    // Not once it fails: Redis may have come back empty.
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
  // Reports of one jail keep their order; those of different ones need not wait for one another.
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

/** A report that cannot be applied must not hold up those behind it. */
function dropUnlessAway(error: Error, id: string, log: Logger): true {
  if (isRedisAway(error)) throw error
  log.error({ err: error, entry: id }, 'a report that cannot be applied is dropped')
  return true
}

/** Returns whether it has been seen to. One that has come too early stays in the stream, and is met again. */
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
    const [found, jail] = await Promise.all([records.operation(report.operation), jailOf])
    operation = found
    return applyOperationReport(report, found, jail, keys)
  })
  if (applied && operation && hasEnded(report.status)) metrics.ended(operation, report.status, report.at)
  return true
}

/** How a jail is comes after the end of its operation, which another producer may have taken and not applied yet. */
async function isEarly({ records }: Store, { jail: name, epoch }: JailReport): Promise<boolean> {
  const jail = await records.jail(name)
  if (jail?.epoch !== epoch) return false
  const last = await records.operation(jail.lastOperation)
  return last !== undefined && last.epoch === epoch && !hasEnded(last.status)
}

/** Returns whether there was a change, and it was committed. */
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
