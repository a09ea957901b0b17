import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { hasEnded } from '#shared/operation.ts'
import { startRealFleet } from '../test/support/fleets/real-fleet.ts'
import { until } from '../test/support/until.ts'
import { median } from './figures.ts'
import { openRedis } from './fleet/open-services.ts'

// How long after its restart a killed worker continues its job: real jails, a real worker, SIGKILL in the middle of each.
const { values } = parseArgs({ options: { kills: { type: 'string', default: '10' } } })
const print = (line: string) => process.stdout.write(`${line}\n`)

const state = await mkdtemp(join(tmpdir(), 'provost-takeover-'))
const redis = await openRedis(state)
const prefix = `{provost-bench-${randomBytes(6).toString('hex')}}`
const fleet = await startRealFleet({ url: redis.url, prefix })
const running: number[] = []
const ended: number[] = []
try {
  for (let i = 0; i < Number(values.kills); i += 1) {
    const asked = await fleet.ask(`web${i}`, { world: 'busybox' })
    const { id } = asked.body.operation
    await until('it to run', async () => (await fleet.operation(id)).status === 'running')
    await fleet.end('worker', 'SIGKILL')
    const before = (await fleet.operation(id)).steps.length
    const cut = await fleet.operation(id)
    const startedMs = Date.now()
    await fleet.start('worker')
    await until('it to go on', async () => {
      const { status, percent, steps } = await fleet.operation(id)
      return hasEnded(status) || percent > cut.percent || steps.length > before
    })
    running.push(Date.now() - startedMs)
    await until('it to end', async () => hasEnded((await fleet.operation(id)).status))
    ended.push(Date.now() - startedMs)
    const { status } = await fleet.operation(id)
    print(`kill ${i + 1}: goes on after ${running.at(-1)} ms, ${status} after ${ended.at(-1)} ms`)
  }
  print(`goes on after: median ${median(running)} ms, at most ${Math.max(...running)} ms (goal: 12,000 ms)`)
  print(`has ended after: median ${median(ended)} ms, at most ${Math.max(...ended)} ms`)
} finally {
  await fleet.stop()
  await redis.stop()
  await rm(state, { recursive: true, force: true })
}
