import type { Redis } from 'ioredis'

/**
 * The time of the fleet is that of Redis, since each host and producer has a clock of its own, which may be hours off. What is in
 * a record, a report or a journal bears it, and what is deleted by its age is by it.
 */

/** By how much it may differ before nothing is deleted by its age any more: either may be wrong. */
export const mostOffMs = 120_000

/** Beyond this the answer took too long to tell the time by. */
const slowMs = 1_000

/** Redis' time at a moment of this process, in milliseconds; undefined until Redis was asked. */
let told: { redisMs: number; atMs: number } | undefined

/**
 * Asks Redis for the time, which counts from now on. Returns by how many milliseconds the clock of this computer is ahead of it;
 * negative when it is behind.
 */
export async function askTime(redis: Pick<Redis, 'time'>): Promise<number> {
  const before = performance.now()
  const [seconds, microseconds] = await redis.time()
  const atMs = performance.now()
  const redisMs = Number(seconds) * 1_000 + Number(microseconds) / 1_000 + (atMs - before) / 2
  if (!told || atMs - before <= slowMs) told = { redisMs, atMs }
  return Math.round(Date.now() - redisMs)
}

/** Returns the time of the fleet, in milliseconds since 1970; of this computer, until Redis was asked. */
export function fleetTimeMs(): number {
  return told ? Math.round(told.redisMs + performance.now() - told.atMs) : Date.now()
}

export const fleetTime = (): Date => new Date(fleetTimeMs())
