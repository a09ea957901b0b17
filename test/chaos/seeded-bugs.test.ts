import { test } from 'vitest'
import type { Bug } from './seeded/bugs.ts'
import { runSeeds } from './seeded/run-seeds.ts'

/** Each fault that was planted, what gives it away, and seeds that were seen to find it: not every one stumbles on each. */
const planted: Record<Bug, { shows: RegExp; seeds: number[] }> = {
  'delete before work': { shows: /is (queued|running) for ever/, seeds: [2, 8, 9, 15, 1, 3, 4, 5] },
  'no epoch check': { shows: /runs on two hosts|moved away unbound|after epoch/, seeds: [2, 1, 3, 4, 5, 6, 7, 8] },
  'lease freed too early': { shows: /an address of two jails|is leased to/, seeds: [10, 9, 11, 1, 2, 3, 4, 5] },
  'undo skipped': { shows: /is (failed|unknown|stopped) and has/, seeds: [1, 5, 2, 3, 4, 6, 7, 8] },
}

for (const [bug, { shows, seeds }] of Object.entries(planted) as [Bug, (typeof planted)[Bug]][])
  test.concurrent(`finds a fleet with this fault: ${bug}`, async ({ expect }) => {
    const trials = await runSeeds({ seeds, lanes: 2, bug, untilFault: true })
    const faults = trials.flatMap((trial) => trial.faults)
    expect(
      faults.find((fault) => shows.test(fault)),
      faults.join('\n'),
    ).toBeDefined()
  })
