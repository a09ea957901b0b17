import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Queue } from 'bullmq'
import type { CreateJail } from '#shared/jail.ts'
import { tableLines } from '../cli/print/table.ts'
import { median, spread, timed } from './figures.ts'
import { type BenchFleet, openFleet } from './fleet/open-fleet.ts'

const { values } = parseArgs({
  options: { rows: { type: 'string', default: '10000' }, rounds: { type: 'string', default: '9' } },
})
const [rowCount, rounds] = [Number(values.rows), Number(values.rounds)]
const mostRows = 100_000
const jobsAtOnce = 1_000

type Form = { type: string; write(asks: CreateJail[]): string }

const forms: Record<'NDJSON' | 'CSV', Form> = {
  NDJSON: { type: 'application/x-ndjson', write: (asks) => asks.map((ask) => `${JSON.stringify(ask)}\n`).join('') },
  CSV: {
    type: 'text/csv',
    write: (asks) =>
      `name,client,world,hostname,memory,cpu\n${asks
        .map(
          ({ name, client, world, hostname, limits }) =>
            `${[name, client, world, hostname, limits?.memory, limits?.cpu].join(',')}\n`,
        )
        .join('')}`,
  },
}

let named = 0
/** Returns new jails: a batch claims its names, so no two files may share one. */
function asksFor(count: number, labels?: Record<string, string>): CreateJail[] {
  return Array.from({ length: count }, () => {
    named += 1
    const hostname = `www${named}.client${named % 100}.example.com`
    const ask = {
      name: `c${named}`,
      client: `client${named % 100}`,
      world: 'tiny',
      hostname,
      limits: { memory: 2 ** 29, cpu: 0.5 },
    }
    return { ...ask, ...(labels ? { labels } : {}) }
  })
}

async function post(fleet: BenchFleet, { type }: Form, file: string): Promise<void> {
  const headers = { authorization: `Bearer ${fleet.key}`, 'content-type': type }
  const answer = await fetch(`${fleet.url}/v1/batches?maxInFlight=1`, { method: 'POST', headers, body: file })
  if (answer.status !== 202) throw new Error(await answer.text())
  await answer.arrayBuffer()
}

const directory = mkdtempSync(join(tmpdir(), 'provost-bench-'))
const table: string[][] = []
const fleets: BenchFleet[] = []

try {
  await compareRates(await opened('rates'))
  await measureMemory(await opened('memory'))
  process.stdout.write(`${tableLines(['WHAT', 'FIGURE', 'GOAL'], table).join('\n')}\n`)
} finally {
  for (const fleet of fleets) await fleet.close()
  rmSync(directory, { recursive: true, force: true })
}

async function opened(name: string): Promise<BenchFleet> {
  const fleet = await openFleet(directory, name, 1)
  fleets.push(fleet)
  return fleet
}

/** Takes the three in turns, so that other load of the machine affects all of them. */
async function compareRates(fleet: BenchFleet): Promise<void> {
  const connection = { url: fleet.redisUrl }
  const queue = new Queue('bench', { connection, prefix: '{bench}' })
  const times = { addBulk: [] as number[], NDJSON: [] as number[], CSV: [] as number[] }
  for (let round = -1; round < rounds; round += 1) {
    const asks = asksFor(rowCount)
    const files = { NDJSON: forms.NDJSON.write(asksFor(rowCount)), CSV: forms.CSV.write(asksFor(rowCount)) }
    const took = {
      addBulk: await timed(async () => {
        for (let from = 0; from < asks.length; from += jobsAtOnce)
          await queue.addBulk(asks.slice(from, from + jobsAtOnce).map((data) => ({ name: 'provision', data })))
      }),
      NDJSON: await timed(() => post(fleet, forms.NDJSON, files.NDJSON)),
      CSV: await timed(() => post(fleet, forms.CSV, files.CSV)),
    }
    // The first round warms up.
    if (round >= 0) for (const what of ['addBulk', 'NDJSON', 'CSV'] as const) times[what].push(took[what])
    await queue.obliterate({ force: true })
  }
  await queue.close()
  table.push([`${rowCount} jobs by addBulk, ${jobsAtOnce} at once`, spread(times.addBulk), ''])
  for (const form of ['NDJSON', 'CSV'] as const) {
    const rates = times[form].map((ms, i) => (times.addBulk[i] ?? 0) / ms)
    table.push([`${rowCount} rows of ${form} accepted`, spread(times[form]), ''])
    table.push(['  rate to that of addBulk', median(rates).toFixed(2), 'at least 0.33'])
  }
}

/** Measures the largest possible batch, just below 64 MiB, with a producer that has done nothing else. */
async function measureMemory(fleet: BenchFleet): Promise<void> {
  table.push(['memory of the producer before', `${megabytes(fleet, 'VmRSS')} MB`, ''])
  const labels = { note: 'x'.repeat(256), other: 'y'.repeat(200) }
  const file = forms.NDJSON.write(asksFor(mostRows, labels))
  const took = await timed(() => post(fleet, forms.NDJSON, file))
  const size = (file.length / 1e6).toFixed(0)
  table.push([`  at most, with ${mostRows} rows of ${size} MB accepted`, `${megabytes(fleet, 'VmHWM')} MB`, 'at most 200 MB'])
  table.push(['  which took', `${(took / 1_000).toFixed(1)} s`, ''])
  await post(fleet, forms.CSV, forms.CSV.write(asksFor(mostRows)))
  table.push([`  and with ${mostRows} rows of CSV after it`, `${megabytes(fleet, 'VmHWM')} MB`, 'at most 200 MB'])
}

function megabytes({ producerPid }: BenchFleet, what: 'VmRSS' | 'VmHWM'): number {
  const kilobytes = new RegExp(`${what}:\\s+(\\d+)`).exec(readFileSync(`/proc/${producerPid}/status`, 'utf8'))?.[1]
  return Math.round(Number(kilobytes) / 1_000)
}
