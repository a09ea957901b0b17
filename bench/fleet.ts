import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pLimit from 'p-limit'
import { jobId, queueName } from '#shared/redis/queues.ts'
import { tableLines } from '../cli/print/table.ts'
import { startFleet } from '../test/support/fleets/fleet.ts'
import { median, percentile, timed } from './figures.ts'
import { fanOut } from './fleet/fan-out.ts'
import { type Admitted, type BenchFleet, jailName, openFleet } from './fleet/open-fleet.ts'
import { runJails } from './fleet/run-jails.ts'

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '1000' },
    jails: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '12' },
  },
})
const [hostCount, jailCount, rounds] = [Number(values.hosts), Number(values.jails), Number(values.rounds)]
const asksEachRound = 50
const pages = 1_000
const fanOuts = 5

const directory = mkdtempSync(join(tmpdir(), 'provost-bench-'))
const open: BenchFleet[] = []
const rows: string[][] = []
const print = (line: string) => process.stdout.write(`${line}\n`)
const note = (what: string, figure: string, goal = '') => void rows.push([what, figure, goal])

try {
  const one = await opened('one-host', 1)
  const empty = await opened('empty', hostCount)
  const full = await opened('full', hostCount)
  await countConnections(one)
  await fill(full)
  await compareAdmissions(one, empty, full)
  await readPages(full)
  await measureFanOut(empty)
  print(tableLines(['WHAT', 'FIGURE', 'GOAL'], rows).join('\n'))
} finally {
  for (const fleet of open) await fleet.close()
  rmSync(directory, { recursive: true, force: true })
}

async function opened(name: string, hosts: number): Promise<BenchFleet> {
  const fleet = await openFleet(directory, name, hosts)
  open.push(fleet)
  return fleet
}

/** Counts the connections that one more worker opens to Redis. */
async function countConnections({ redis, redisUrl }: BenchFleet): Promise<void> {
  const clients = async () =>
    String(await redis.client('LIST'))
      .trim()
      .split('\n').length
  const fleet = await startFleet({ url: redisUrl, prefix: '{bench-connections}' }, { hosts: ['host1', 'host2'] })
  const both = await clients()
  await fleet.stopHost('host2')
  note('connections of a worker to Redis', `${both - (await clients())}`)
  await fleet.stop()
}

/** Admits all jails over HTTP, so that Redis has what it would have of a fleet: records, leases, promises, jobs. */
async function fill(fleet: BenchFleet): Promise<void> {
  const before = await fleet.usedMemory()
  const limit = pLimit(32)
  const admitted: Admitted[] = []
  const took = await timed(() =>
    Promise.all(Array.from({ length: jailCount }, () => limit(async () => admitted.push(await fleet.admit())))),
  )
  const each = ((await fleet.usedMemory()) - before) / jailCount
  note(`${jailCount} jails admitted over HTTP, 32 at once`, `${((jailCount / took) * 1_000).toFixed(0)} a second`)
  note('Redis memory of a jail, its operation and its two jobs', `${each.toFixed(0)} bytes`, 'at most 4096')
  note('  of it by key', await memoryByKey(fleet, admitted))
  const seconds = await runJails(fleet, admitted)
  note('their reports applied', `${(jailCount / seconds).toFixed(0)} a second`)
}

/** The memory of the keys of a single jail, by the MEMORY USAGE of Redis: the median of some jails. */
async function memoryByKey({ redis, keys }: BenchFleet, admitted: Admitted[]): Promise<string> {
  const sizes = { jail: [] as number[], operation: [] as number[], build: [] as number[], start: [] as number[] }
  for (const { jail, operation } of admitted.slice(-101)) {
    const jobOf = (name: 'build' | 'start') =>
      `${keys.host(jail.host)}:${queueName(jail.host, name)}:${jobId(operation.id, 1, name)}`
    const names = {
      jail: keys.jail(jail.name),
      operation: keys.operation(operation.id),
      build: jobOf('build'),
      start: jobOf('start'),
    }
    for (const what of ['jail', 'operation', 'build', 'start'] as const)
      sizes[what].push(Number(await redis.memory('USAGE', names[what], 'SAMPLES', 0)))
  }
  return Object.entries(sizes)
    .map(([what, all]) => `${what} ${median(all)}`)
    .join(', ')
}

/** Takes the three fleets in turns, so that other load of the machine affects all of them. */
async function compareAdmissions(one: BenchFleet, empty: BenchFleet, full: BenchFleet): Promise<void> {
  const fleets = [one, empty, full].map((fleet) => ({ fleet, times: [] as number[] }))
  for (let round = -1; round < rounds; round += 1) {
    for (const { fleet, times } of fleets)
      for (let i = 0; i < asksEachRound; i += 1) {
        const took = await timed(() => fleet.admit())
        // The first round warms up.
        if (round >= 0) times.push(took)
      }
  }
  const [ofOne = [], ofEmpty = [], ofFull = []] = fleets.map(({ times }) => times)
  note('admission: 1 host, no jails', quantiles(ofOne))
  note(`admission: ${hostCount} hosts, no jails`, quantiles(ofEmpty))
  note('  p50 to that with 1 host', ratio(ofEmpty, ofOne), 'at most 1.2')
  note(`admission: ${hostCount} hosts, ${jailCount} jails`, quantiles(ofFull))
  note('  p50 to that with no jails', ratio(ofFull, ofEmpty), 'at most 1.2')
}

async function readPages(fleet: BenchFleet): Promise<void> {
  const times: number[] = []
  for (let i = 0; i < pages; i += 1) {
    const after = jailName(Math.floor(Math.random() * jailCount))
    const cursor = Buffer.from(after).toString('base64url')
    times.push(await timed(() => fleet.ask('GET', `/v1/jails?limit=50&cursor=${cursor}`)))
  }
  note(`a page of 50 of ${jailCount} jails`, quantiles(times))
}

async function measureFanOut(fleet: BenchFleet): Promise<void> {
  const { jail } = await fleet.admit()
  const times = await fanOut(fleet, jail, fanOuts)
  const range = `${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)}`
  note(`a job to each of ${hostCount} hosts, until all are done`, `${median(times).toFixed(0)} ms (${range})`, 'at most 2000 ms')
}

function quantiles(times: number[]): string {
  return `p50 ${percentile(times, 50).toFixed(2)} ms, p99 ${percentile(times, 99).toFixed(2)} ms`
}

function ratio(times: number[], base: number[]): string {
  return (median(times) / median(base)).toFixed(2)
}
