import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { hasEnded } from '#shared/operation.ts'
import { findFreePort } from '../cli/dev/processes/free-port.ts'
import { endProcess } from '../cli/dev/processes/process-record.ts'
import { redisAnswers, startRedis } from '../cli/dev/processes/start-redis.ts'
import { startRealFleet } from '../test/support/fleets/real-fleet.ts'
import { until } from '../test/support/until.ts'
import { median } from './figures.ts'

// How long after a killed worker's return its job runs again: real jails, a real worker, kill -9 in the middle of each.
const { values } = parseArgs({ options: { kills: { type: 'string', default: '10' } } })
const say = (line: string) => process.stdout.write(`${line}\n`)

const state = await mkdtemp(join(tmpdir(), 'provost-takeover-'))
const port = await findFreePort(process.pid)
const url = `redis://127.0.0.1:${port}`
const server = startRedis(port, state, join(state, 'redis.log'))
await redisAnswers(url, [])
const prefix = `{provost-bench-${randomBytes(6).toString('hex')}}`
const fleet = await startRealFleet({ url, prefix })
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
    say(`kill ${i + 1}: goes on after ${running.at(-1)} ms, ${status} after ${ended.at(-1)} ms`)
  }
  say(`goes on after: median ${median(running)} ms, at most ${Math.max(...running)} ms (goal: 12,000 ms)`)
  say(`has ended after: median ${median(ended)} ms, at most ${Math.max(...ended)} ms`)
} finally {
  await fleet.stop()
  await endProcess(server.record, 5_000)
  await rm(state, { recursive: true, force: true })
}
