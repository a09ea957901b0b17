import { parseArgs } from 'node:util'
import type { Bug } from './seeded/bugs.ts'
import { runSeeds } from './seeded/run-seeds.ts'

const usage = `Usage: npm run chaos -- [--seeds N] [--from SEED] [--seed SEED] [--lanes N] [--until-fault] [--bug NAME]`

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    lanes: { type: 'string', default: '4' },
    bug: { type: 'string' },
    'until-fault': { type: 'boolean', default: false },
  },
})
const from = Number(values.seed ?? values.from)
const count = values.seed === undefined ? Number(values.seeds) : 1
if (!Number.isInteger(from) || !Number.isInteger(count)) throw new Error(usage)
const startedMs = Date.now()
const trials = await runSeeds({
  seeds: Array.from({ length: count }, (_, i) => from + i),
  lanes: Number(values.lanes),
  bug: values.bug as Bug | undefined,
  untilFault: values['until-fault'],
  onTrial: (trial) => console.log(describe(trial)),
})
const failed = trials.filter(({ faults }) => faults.length > 0)
console.log(
  `${trials.length - failed.length} of ${trials.length} seeds passed in ${Math.round((Date.now() - startedMs) / 1000)} s.`,
)
if (failed.length > 0) console.log(`Again: ${failed.map(({ seed }) => `npm run chaos -- --seed ${seed}`).join('; ')}`)
process.exit(failed.length > 0 ? 1 : 0)

function describe({ seed, faults, schedule, directory, operations, events }: (typeof trials)[number]): string {
  if (faults.length === 0) return `seed ${seed}: ${operations} operations, ${events} events: all is as it must be`
  const lines = schedule.map((happening) => `  ${JSON.stringify(happening)}`)
  return [`seed ${seed}: FAULTS`, ...faults.map((fault) => `  ${fault}`), `schedule (logs in ${directory}):`, ...lines].join('\n')
}
