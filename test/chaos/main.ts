import { parseArgs } from 'node:util'
import { type Bug, bugs } from './seeded/faults/bugs.ts'
import { drills } from './seeded/faults/drills.ts'
import { runTrials } from './seeded/run-trials.ts'
import { type Plot, plotOf } from './seeded/schedule.ts'

const usage = `Usage: npm run chaos -- [--seeds N] [--from SEED] [--seed SEED] [--lanes N] [--until-fault] [--bug NAME] [--drills]
Bugs: ${bugs.join(', ')}`

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    lanes: { type: 'string', default: '4' },
    bug: { type: 'string' },
    drills: { type: 'boolean', default: false },
    'until-fault': { type: 'boolean', default: false },
  },
})
const from = Number(values.seed ?? values.from)
const count = values.seed === undefined ? Number(values.seeds) : 1
const bug = bugs.find((each) => each === values.bug)
if (!Number.isInteger(from) || !Number.isInteger(count) || bug !== values.bug) throw new Error(usage)
const startedMs = Date.now()
const trials = await runTrials({
  plots: values.drills ? drillsFor(bug) : Array.from({ length: count }, (_, i) => plotOf(from + i)),
  lanes: Number(values.lanes),
  bug,
  untilFault: values['until-fault'],
  onTrial: (trial) => console.log(describe(trial)),
})
const failed = trials.filter(({ faults }) => faults.length > 0)
console.log(`${trials.length - failed.length} of ${trials.length} passed in ${Math.round((Date.now() - startedMs) / 1000)} s.`)
if (failed.length > 0 && !values.drills)
  console.log(`Again: ${failed.map(({ name }) => `npm run chaos -- --${name}`).join('; ')}`)
process.exit(failed.length > 0 ? 1 : 0)

function drillsFor(bug: Bug | undefined): Plot[] {
  return bug ? [drills[bug]] : Object.values(drills)
}

function describe({ name, faults, schedule, directory, operations, events }: (typeof trials)[number]): string {
  if (faults.length === 0) return `${name}: ${operations} operations, ${events} events: all is as it must be`
  const lines = schedule.map((happening) => `  ${JSON.stringify(happening)}`)
  return [`${name}: FAULTS`, ...faults.map((fault) => `  ${fault}`), `schedule (logs in ${directory}):`, ...lines].join('\n')
}
