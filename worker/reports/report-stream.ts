import type { Redis } from 'ioredis'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { JailReport, Report } from '#shared/report.ts'

/** Opens the stream into which this worker sends all its reports, in order. */
export function openReportStream(redis: Redis, keys: RedisKeys) {
  /** By jail, the last report between operations. */
  const lastReports = new Map<string, JailReport>()

  async function send(report: Report): Promise<void> {
    await redis.xadd(keys.reports, '*', 'report', JSON.stringify(report))
  }

  return {
    lastReports,
    send,
    /** Sends how a jail is between operations. */
    sendOfJail(report: JailReport): Promise<void> {
      lastReports.set(report.jail, report)
      return send(report)
    },
  }
}
