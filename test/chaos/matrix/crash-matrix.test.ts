import { describe, expect } from 'vitest'
import { patience } from '../../support/patience.ts'
import { test } from '../../support/redis/redis-test.ts'
import { startCrashFleet } from './crash-fleet.ts'
import { isFreebsd, whyNoCrashes } from './crash-machine.ts'
import { type CrashPlan, crashPlans, type Trial } from './crash-plans.ts'
import { type Kill, type Point, whensOf } from './crash-points.ts'
import { printMatrix } from './print-matrix.ts'
import { type Cell, describeCell, type End, listPoints, runCrash } from './run-crash.ts'

type Seen = { plan: CrashPlan; points: Point[]; end: End }
type Crash = { seen: Seen; kill: Kill }

const isWhole = process.env['PROVOST_CHAOS'] === 'whole'
const only = process.env['PROVOST_CHAOS_PLAN'] ?? ''
/** At most so many, spread over all of them. */
const atMost = Number(process.env['PROVOST_CHAOS_POINTS'] ?? Number.POSITIVE_INFINITY)
const allMs = 4 * 3_600_000 * patience

describe.skipIf(whyNoCrashes())('a worker that is killed at any point of any plan', () => {
  test('goes on or undoes after its return, and leaves nothing', { timeout: allMs }, async ({ redis }) => {
    const fleet = await startCrashFleet(redis, isFreebsd ? ['crash1'] : ['crash1', 'crash2'])
    try {
      const plans = crashPlans.filter(({ name }) => new RegExp(only).test(name))
      const seen = await share(plans, fleet.trials, listOne)
      const crashes = spread(isWhole ? everyPoint(seen) : onePointOfEachKind(seen), atMost)
      console.info(`${crashes.length} points of ${plans.length} plans`)
      const cells = await share(crashes, fleet.trials, runOne)
      console.info(printMatrix(cells))
      expect(cells.filter(({ how }) => how === 'FAILED').map(describeCell)).toEqual([])
    } finally {
      await fleet.stop()
    }
  })
})

async function listOne(plan: CrashPlan, trial: Trial, jail: string): Promise<Seen> {
  return { plan, ...(await listPoints(plan, trial, jail)) }
}

async function runOne({ seen, kill }: Crash, trial: Trial, jail: string): Promise<Cell> {
  const cell = await runCrash(seen.plan, kill, seen.end, trial, jail)
  if (cell.how === 'FAILED') console.info(describeCell(cell))
  return cell
}

function everyPoint(seen: Seen[]): Crash[] {
  return seen.flatMap((each) =>
    each.points.flatMap((point) => whensOf(point).map((when) => ({ seen: each, kill: { ...point, when } }))),
  )
}

/** The first point of each label, each killed at another moment than the one before it. */
function onePointOfEachKind(seen: Seen[]): Crash[] {
  const kinds = Map.groupBy(
    everyPoint(seen).filter(({ kill }) => kill.nth === 1),
    ({ kill }) => kill.label,
  )
  return [...kinds.values()].flatMap((crashes, i) => {
    const first = crashes.filter(({ seen }) => seen === crashes[0]?.seen)
    return first.slice(i % first.length, (i % first.length) + 1)
  })
}

/** Returns at most `most` of them, from the first to the last. */
function spread<T>(all: T[], most: number): T[] {
  const step = all.length / Math.min(most, all.length)
  return all.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step))
}

/** Has each host take the next piece of work as soon as it is free; each has a jail of its own. */
async function share<T, R>(work: T[], trials: Trial[], run: (each: T, trial: Trial, jail: string) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let taken = 0
  const takeAll = async (trial: Trial) => {
    for (let i = taken++; i < work.length; i = taken++) {
      results[i] = await run(work[i] as T, trial, `j${freshJail++}`)
      if (taken % 50 === 0) console.info(`${taken} of ${work.length}`)
    }
  }
  // All come to their end, so that what is left behind is not in use any more.
  const ends = await Promise.allSettled(trials.map(takeAll))
  const failure = ends.find(({ status }) => status === 'rejected')
  if (failure) throw (failure as PromiseRejectedResult).reason
  return results
}

let freshJail = 0
