import type { Redis } from 'ioredis'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { JailReport, Report } from '#shared/report.ts'
import type { Presence } from './presence.ts'

/** Opens the stream into which this worker sends all its reports, in order, as long as it has its host's name. */
export function openReportStream(redis: Redis, keys: RedisKeys, presence: Pick<Presence, 'loss'>) {
  /** By jail, the last report between operations. */
  const lastReports = new Map<string, JailReport>()

  async function send(report: Report): Promise<void> {
    const loss = presence.loss()
    if (loss) throw loss
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
