import type { Redis } from 'ioredis'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { JailReport, Report } from '#shared/report.ts'

/** What a worker tells the fleet goes into one stream, in order. */
export function openReportStream(redis: Redis, keys: RedisKeys) {
  /** By jail, what was reported last of one that no operation was at work on. */
  const lastReports = new Map<string, JailReport>()

  async function send(report: Report): Promise<void> {
    await redis.xadd(keys.reports, '*', 'report', JSON.stringify(report))
  }

  return {
    lastReports,
    send,
    /** Sends what is the case of a jail that no operation is at work on. */
    sendOfJail(report: JailReport): Promise<void> {
      lastReports.set(report.jail, report)
      return send(report)
    },
  }
}
