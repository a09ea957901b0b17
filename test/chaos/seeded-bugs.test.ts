import { expect, test } from 'vitest'
import { type Bug, bugs } from './seeded/faults/bugs.ts'
import { drills } from './seeded/faults/drills.ts'
import { runTrials } from './seeded/run-trials.ts'

/** The fault that shows each planted bug. */
const shows: Record<Bug, RegExp> = {
  'delete before work': /for ever/,
  'no epoch check': /runs on two hosts|moved away unbound|after epoch/,
  'lease freed too early': /an address of two jails|is leased to/,
  'undo skipped': /is failed and has/,
}
/** A machine that is busy elsewhere may keep a drill from its point. */
const tries = 5

for (const bug of bugs)
  test.concurrent(`finds a fleet with this fault: ${bug}`, async () => {
    const trials = await runTrials({ plots: Array(tries).fill(drills[bug]), lanes: 1, bug, untilFault: true })
    const faults = trials.flatMap((trial) => trial.faults)
    expect(
      faults.find((fault) => shows[bug].test(fault)),
      faults.join('\n'),
    ).toBeDefined()
  })
