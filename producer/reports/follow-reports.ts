import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { v7 as uuid } from 'uuid'
import { hasEnded } from '#shared/operation.ts'
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
  metrics: Pick<Metrics, 'ended'>
  /** What another producer has taken and not applied for so long is taken over. */
  timing: Pick<Timing, 'abandoned'>
}

type Entry = [id: string, fields: string[]]

const group = 'producers'
const atOnce = 200
const blockMs = 2_000
const pauseAfterErrorMs = 500

/**
 * Applies what workers report, in the order they said it. Of several producers each report is applied by one; one that is
 * applied twice changes nothing. An applied report leaves the stream.
 */
export function followReports({ reader, redis, keys, records, scripts, log, metrics, timing }: Deps) {
  const consumer = uuid()
  let stopped = false

  /** Whether it has been seen to. One that has come too early stays in the stream, and is met again. */
  async function applyReport(report: Report): Promise<boolean> {
    if (report.type === 'enrol') {
      await redis.sadd(keys.hosts, report.host)
      return true
    }
    if (report.type === 'jail') {
      if (await isEarly(report)) return false
      await commitUntilDone(async () => applyJailReport(report, await records.jail(report.jail), keys))
      return true
    }
    let operation: OperationRecord | undefined
    const applied = await commitUntilDone(async () => {
      const jailOf = report.type === 'operation' ? records.jail(report.jail) : undefined
      const [found, jail] = await Promise.all([records.operation(report.operation), jailOf])
      operation = found
      return applyOperationReport(report, found, jail, keys)
    })
    if (applied && operation && hasEnded(report.status)) metrics.ended(operation, report.status, report.at)
    return true
  }

  /** How a jail stands is said after the end of its operation, which another producer may have taken and not applied yet. */
  async function isEarly({ jail: name, epoch }: JailReport): Promise<boolean> {
    const jail = await records.jail(name)
    if (jail?.epoch !== epoch) return false
    const last = await records.operation(jail.lastOperation)
    return last !== undefined && last.epoch === epoch && !hasEnded(last.status)
  }

  /** Whether there was a change, and it was committed. */
  async function commitUntilDone(decide: () => Promise<Change | undefined>): Promise<boolean> {
    for (;;) {
      const change = await decide()
      if (!change) return false
      if ((await scripts.commit(change)).type !== 'changed') return true
    }
  }

  async function applyEntries(entries: Entry[]): Promise<void> {
    // Reports of one jail keep their order; those of different ones need not wait for one another.
    const bySubject = Map.groupBy(entries.map(parseEntry), ({ report }) => report && subjectOf(report))
    const done: string[] = []
    await Promise.all(
      [...bySubject.values()].map(async (group) => {
        for (const { id, report, fault } of group) {
          if (!report) log.error({ entry: id, fault }, 'a report that cannot be read is dropped')
          if (!report || (await applyReport(report).catch((error) => dropUnlessAway(error, id)))) done.push(id)
        }
      }),
    )
    if (done.length > 0)
      await redis
        .multi()
        .xack(keys.reports, group, ...done)
        .xdel(keys.reports, ...done)
        .exec()
  }

  /** A report that cannot be applied must not hold up those behind it. */
  function dropUnlessAway(error: Error, id: string): true {
    if (isRedisAway(error)) throw error
    log.error({ err: error, entry: id }, 'a report that cannot be applied is dropped')
    return true
  }

  async function next(): Promise<void> {
    const [, abandoned] = (await redis.xautoclaim(keys.reports, group, consumer, timing.abandoned, '0', 'COUNT', atOnce)) as [
      string,
      Entry[],
    ]
    const claimed = abandoned.filter(([, fields]) => fields)
    if (claimed.length > 0) return applyEntries(claimed)
    const answer = (await reader.xreadgroup(
      'GROUP',
      group,
      consumer,
      'COUNT',
      atOnce,
      'BLOCK',
      blockMs,
      'STREAMS',
      keys.reports,
      '>',
    )) as [string, Entry[]][] | null
    const entries = answer?.[0]?.[1] ?? []
    if (entries.length > 0) await applyEntries(entries)
  }

  async function ensureGroup(): Promise<void> {
    await redis.xgroup('CREATE', keys.reports, group, '0', 'MKSTREAM').catch((error: Error) => {
      if (!error.message.startsWith('BUSYGROUP')) throw error
    })
  }

  async function follow(): Promise<void> {
    let ready = false
    while (!stopped) {
      try {
        if (!ready) await ensureGroup()
        ready = true
        await next()
      } catch (error) {
        if (stopped) return
        // NOGROUP: Redis came back empty.
        ready = false
        log.warn({ err: error instanceof Error ? error.message : error }, 'reports wait')
        await new Promise((resolve) => setTimeout(resolve, pauseAfterErrorMs))
      }
    }
  }

  const following = follow()
  return {
    async stop(): Promise<void> {
      stopped = true
      reader.disconnect()
      await following
    },
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
