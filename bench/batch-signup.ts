import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startRealFleet } from '../test/support/fleets/real-fleet.ts'
import { until } from '../test/support/until.ts'
import { median } from './figures.ts'
import { openRedis } from './fleet/open-services.ts'

// How long a signup takes while a batch is at work on its host: real jails on one host, one after another, first on the idle
// host, then beside the batch.
const { values } = parseArgs({
  options: { rows: { type: 'string', default: '500' }, signups: { type: 'string', default: '25' } },
})
const print = (line: string) => process.stdout.write(`${line}\n`)

const state = await mkdtemp(join(tmpdir(), 'provost-signup-'))
const redis = await openRedis(state)
const prefix = `{provost-bench-${randomBytes(6).toString('hex')}}`
const bridge = `pvb${randomBytes(3).toString('hex')}`
const pools = [{ name: 'bench', cidr: '10.222.0.0/20', gateway: '10.222.0.1' }]
const capacity = { jails: 2_000, memory: '200G', cpu: 2_000 }
const fleet = await startRealFleet({ url: redis.url, prefix }, { worker: { capacity, network: { mode: 'vnet', bridge, pools } } })
let asked = 0

try {
  const rows = Number(values.rows)
  const idle = await signups(Number(values.signups))
  const csv = ['name,client,world', ...Array.from({ length: rows }, (_, i) => `row${i},acme,busybox`)].join('\n')
  const sent = await fleet.call('POST', '/v1/batches', csv, { 'content-type': 'text/csv' })
  const { id } = sent.body.batch
  await until('the batch to be at work', async () => (await batch(id)).counts.succeeded > 10)
  const busy = await signups(Number(values.signups))
  const { counts } = await batch(id)
  print(`idle host: median ${Math.round(median(idle))} ms of ${idle.length}`)
  print(`batch of ${rows} at work (${counts.succeeded} done by the end): median ${Math.round(median(busy))} ms of ${busy.length}`)
  print(`ratio ${(median(busy) / median(idle)).toFixed(2)} (goal: at most 1.5)`)
  await fleet.call('POST', `/v1/batches/${id}/cancel`, { running: 'cancel' })
  await until('the batch to end', async () => (await batch(id)).finishedAt !== null, 60_000)
} finally {
  await fleet.stop()
  await redis.stop()
  await rm(state, { recursive: true, force: true })
}

async function batch(id: string) {
  return (await fleet.call('GET', `/v1/batches/${id}`)).body
}

/** Provisions jails one after another. Returns the milliseconds of each, from POST until it runs with its isolation proven. */
async function signups(count: number): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < count; i += 1) {
    asked += 1
    const startedMs = performance.now()
    const answer = await fleet.ask(`signup${asked}`, { world: 'busybox' }, { prefer: 'wait=60' })
    if (answer.body.operation?.status !== 'succeeded') throw new Error(answer.text)
    times.push(performance.now() - startedMs)
  }
  return times
}
