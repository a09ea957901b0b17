import { expect, test } from 'vitest'
import type { Bug } from './seeded/bugs.ts'
import { runSeeds } from './seeded/run-seeds.ts'

/** Each fault that was planted, what gives it away, and within how many seeds it must have shown. */
const planted: Record<Bug, { shows: RegExp; within: number }> = {
  'delete before work': { shows: /is (queued|running) for ever/, within: 40 },
  'no epoch check': { shows: /runs on two hosts|moved away unbound|after epoch/, within: 40 },
  'lease freed too early': { shows: /an address of two jails|is leased to/, within: 40 },
  'undo skipped': { shows: /is (failed|unknown|stopped) and has/, within: 40 },
}
const firstSeed = 1

for (const [bug, { shows, within }] of Object.entries(planted) as [Bug, (typeof planted)[Bug]][])
  test(`finds a fleet with this fault: ${bug}`, async () => {
    const seeds = Array.from({ length: within }, (_, i) => firstSeed + i)
    const trials = await runSeeds({ seeds, lanes: 4, bug, untilFault: true })
    const faults = trials.flatMap((trial) => trial.faults)
    expect(
      faults.find((fault) => shows.test(fault)),
      faults.join('\n'),
    ).toBeDefined()
  })
