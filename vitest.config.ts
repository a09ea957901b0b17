import { defineConfig } from 'vitest/config'
import { whyNoBrowser } from './test/support/browser.ts'
import { whyNoHostTests } from './test/support/hosts/host-fitness.ts'
import { patience } from './test/support/patience.ts'

const unfit = whyNoHostTests()
if (unfit) console.error(`\nNOT RUN HERE: what makes real jails (contract, on-host, chaos) ${unfit}\n`)
const blind = whyNoBrowser()
if (blind) console.error(`\nNOT RUN HERE: what looks at the pages (browser) ${blind}\n`)

const seconds = 1_000
const rings = ['contract', 'flow', 'on-host', 'chaos', 'browser']

/** A ring of tests. Rings run one after another, so that what one leaves a trace of on the host disturbs no other. */
function ring(
  name: string,
  order: number,
  timeoutMs: number,
  options: { include: string[]; redis?: boolean; parallel?: boolean },
) {
  return {
    test: {
      name,
      include: options.include,
      exclude: name === 'unit' ? [...rings, 'support'].map((directory) => `test/${directory}/**`) : [],
      testTimeout: timeoutMs * patience,
      hookTimeout: timeoutMs * patience,
      fileParallelism: options.parallel ?? false,
      ...(options.parallel ? { maxWorkers: 2 } : {}),
      sequence: { groupOrder: order },
      ...(options.redis ? { globalSetup: ['test/support/redis/start-redis.ts'] } : {}),
    },
  }
}

const inDirectory = (name: string) => [`test/${name}/**/*.test.ts`]

export default defineConfig({
  test: {
    projects: [
      ring('unit', 0, 30 * seconds, { include: ['test/**/*.test.ts'], parallel: true }),
      ring('contract', 1, 60 * seconds, { include: inDirectory('contract') }),
      ring('flow', 2, 30 * seconds, { include: inDirectory('flow'), redis: true, parallel: true }),
      ring('on-host', 3, 180 * seconds, { include: inDirectory('on-host'), redis: true }),
      ring('chaos', 4, 300 * seconds, { include: inDirectory('chaos'), redis: true }),
      ring('browser', 5, 120 * seconds, { include: inDirectory('browser'), redis: true }),
    ],
  },
})
