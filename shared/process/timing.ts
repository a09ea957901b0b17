import { z } from 'zod'

/** Intervals and timeouts in milliseconds. Producers and workers must use the same. */
export type Timing = typeof standardTiming

export const standardTiming = {
  /** Between two beats of a host, and from its last beat until it is down. */
  heartbeat: 3_000,
  silence: 10_000,
  /** BullMQ's lock of an active job, and how often it looks for active jobs without a lock. */
  lock: 5_000,
  stalled: 2_000,
  /** Between two looks of a producer at the hosts, at missing wake-ups and at operations to move. */
  look: 1_000,
  /** How long an operation may lack a job before it gets a new one, and between two looks for such operations. */
  lost: 10_000,
  /** How long another producer may leave what it has taken before it is taken over. */
  abandoned: 5_000,
  /** After how long a job that waits for a fill asks again, in case the end of the fill does not wake it. */
  asleep: 30_000,
  /** How long a start or a stop has a slot of its host: what a jail delays longer goes on beside the others. */
  overdue: 10_000,
  /** Between two looks of a worker at whether its operations are still wanted. */
  recorded: 3_000,
  /** The first and the longest delay before the leftovers of an operation are tried again. */
  leftoversFirst: 60_000,
  leftoversMost: 3_600_000,
  /** Between two looks of a worker at its jails, and between two at their records. */
  drift: 10_000,
  compare: 60_000,
}

/** `PROVOST_TIME_SCALE`, for trials: 0.1 makes everything ten times as fast. */
export const TimeScale = z.coerce.number().min(0.02).max(1).default(1)

export function scaledTiming(scale: number): Timing {
  return Object.fromEntries(Object.entries(standardTiming).map(([name, ms]) => [name, ms * scale])) as Timing
}
