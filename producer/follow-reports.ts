import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { v7 as uuid } from 'uuid'
import type { RedisKeys } from '#shared/keys.ts'
import { hasEnded } from '#shared/operation.ts'
import { Report } from '#shared/report.ts'
import type { Timing } from '#shared/timing.ts'
import { applyJailReport, applyOperationReport } from './apply-report.ts'
import type { Metrics } from './metrics.ts'
import type { OperationRecord, Records } from './records.ts'
import { isRedisAway } from './redis-away.ts'
import type { Change, Scripts } from './scripts.ts'

type Deps = {
  /** A connection of its own: it blocks. */
  reader: Redis
  redis: Redis
  keys: RedisKeys
  records: Records
  scripts: Scripts
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

  async function applyReport(report: Report): Promise<void> {
    if (report.type === 'enrol') {
      await redis.sadd(keys.hosts, report.host)
      return
    }
    if (report.type === 'jail') {
      await commitUntilDone(async () => applyJailReport(report, await records.jail(report.jail), keys))
      return
    }
    let operation: OperationRecord | undefined
    const applied = await commitUntilDone(async () => {
      const jailOf = report.type === 'operation' ? records.jail(report.jail) : undefined
      const [found, jail] = await Promise.all([records.operation(report.operation), jailOf])
      operation = found
      return applyOperationReport(report, found, jail, keys)
    })
    if (applied && operation && hasEnded(report.status)) metrics.ended(operation, report.status, report.at)
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
    // Reports of one operation keep their order; those of different ones need not wait for one another.
    const byOperation = Map.groupBy(entries.map(parseEntry), ({ report }) =>
      report && 'operation' in report ? report.operation : '',
    )
    await Promise.all(
      [...byOperation.values()].map(async (group) => {
        for (const { id, report, fault } of group) {
          if (report) await applyReport(report).catch((error) => dropUnlessAway(error, id))
          else log.error({ entry: id, fault }, 'a report that cannot be read is dropped')
        }
      }),
    )
    await redis
      .multi()
      .xack(keys.reports, group, ...entries.map(([id]) => id))
      .xdel(keys.reports, ...entries.map(([id]) => id))
      .exec()
  }

  /** A report that cannot be applied must not hold up those behind it. */
  function dropUnlessAway(error: Error, id: string): void {
    if (isRedisAway(error)) throw error
    log.error({ err: error, entry: id }, 'a report that cannot be applied is dropped')
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

function parseEntry([id, fields]: Entry): { id: string; report?: Report; fault?: string } {
  try {
    return { id, report: Report.parse(JSON.parse(fields[fields.indexOf('report') + 1] ?? 'null')) }
  } catch (error) {
    return { id, fault: error instanceof Error ? error.message : String(error) }
  }
}
