import { toleratedOffMs } from '#shared/host.ts'
import { connectRedis } from '#shared/redis/connect-redis.ts'
import { fault, fine, note, type Result } from '../host/checks/check-result.ts'

const patienceMs = 3_000

/** How far this clock is ahead of another, and how uncertain that is: half of the time that the answer took. Milliseconds. */
type ClockReading = { aheadMs: number; uncertainMs: number }

/** Compares the clock of this host with the one of Redis, which all hosts share. Without Redis the result is a note. */
export async function checkClock(redisUrl: string): Promise<Result> {
  let reading: ClockReading
  try {
    reading = await readRedisClock(redisUrl)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return note(
      `Could not be compared with the clock of Redis: ${reason}.`,
      `Start Redis, or set PROVOST_REDIS_URL, then run this again; until then see that ntpd(8) or chronyd runs.`,
    )
  }
  return judgeClock(reading)
}

export function judgeClock({ aheadMs, uncertainMs }: ClockReading): Result {
  const seconds = (Math.abs(aheadMs) / 1_000).toFixed(2)
  const detail = `This host's clock is ${seconds} s ${aheadMs < 0 ? 'behind' : 'ahead of'} the one of Redis`
  if (Math.abs(aheadMs) - uncertainMs <= toleratedOffMs) return fine(`${detail}.`)
  return fault(`${detail}; ${toleratedOffMs / 1_000} s are tolerated.`, 'Run ntpd(8) or chronyd on both, and set the clock once.')
}

async function readRedisClock(url: string): Promise<ClockReading> {
  const redis = connectRedis(url, {
    lazyConnect: true,
    connectTimeout: patienceMs,
    commandTimeout: patienceMs,
    disconnectTimeout: 100,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    sentinelRetryStrategy: () => null,
  })
  let fault: Error | undefined
  redis.on('error', (error) => {
    fault = error
  })
  try {
    await redis.connect()
    const before = Date.now()
    const [seconds, microseconds] = await redis.time()
    const after = Date.now()
    const theirs = Number(seconds) * 1_000 + Number(microseconds) / 1_000
    return { aheadMs: (before + after) / 2 - theirs, uncertainMs: (after - before) / 2 }
  } catch (error) {
    // The error of ioredis is only that the connection is closed; the reason came before.
    throw fault ?? error
  } finally {
    redis.disconnect()
  }
}
