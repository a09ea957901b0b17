import { z } from 'zod'

/** How long things take to be noticed, in milliseconds. Both sides must have the same. */
export type Timing = typeof standardTiming

export const standardTiming = {
  /** Between two beats of a host, and how long after its last one it is down. */
  heartbeat: 3_000,
  silence: 10_000,
  /** BullMQ's lock of a job that runs, and how often it looks for jobs without one. */
  lock: 5_000,
  stalled: 2_000,
  /** Between two looks of a producer: at the hosts, at wake-ups that are missing, at operations to move. */
  look: 1_000,
  /** How long an operation may be without a job before it gets a new one, and how often that is looked for. */
  lost: 10_000,
  /** How long what another producer has taken on may be left. */
  abandoned: 5_000,
  /** After how long a job that waits for a fill asks for it again, should the end of the fill not wake it. */
  asleep: 30_000,
  /** Between two looks of a worker at whether what it does is still wanted. */
  recorded: 3_000,
  /** After how long what an operation has left is tried again for the first time, and at most. */
  leftoversFirst: 60_000,
  leftoversMost: 3_600_000,
  /** Between two looks of a worker at its jails, and at their records. */
  drift: 10_000,
  compare: 60_000,
}

/** `PROVOST_TIME_SCALE`, for trials: 0.1 makes all of it ten times as fast. */
export const TimeScale = z.coerce.number().min(0.02).max(1).default(1)

export function scaledTiming(scale: number): Timing {
  return Object.fromEntries(Object.entries(standardTiming).map(([name, ms]) => [name, ms * scale])) as Timing
}
