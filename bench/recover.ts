import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { v7 as uuid } from 'uuid'
import type { Jail } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import { standardTiming } from '#shared/process/timing.ts'
import type { Recovery } from '#shared/recovery.ts'
import { connectRedis } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import type { OperationReport } from '#shared/report.ts'
import { findFreePort } from '../cli/dev/processes/free-port.ts'
import { endProcess } from '../cli/dev/processes/process-record.ts'
import { startProcess } from '../cli/dev/processes/start-process.ts'
import { redisAnswers, startRedis } from '../cli/dev/processes/start-redis.ts'
import { simulatedHost } from '../test/support/hosts/simulated-host.ts'
import { until } from '../test/support/until.ts'
import type { WorkerConfig } from '../worker/config/config.ts'
import { commandRunner } from '../worker/host/run-command.ts'
import { planOf, stepsOf } from '../worker/plans/plans.ts'
import { startWorker } from '../worker/start-worker.ts'
import { ask } from './fleet/ask.ts'

const { values } = parseArgs({ options: { hosts: { type: 'string' }, jails: { type: 'string' } } })
const hostCount = Number(values.hosts ?? 10)
const jailCount = Number(values.jails ?? 10_000)
const perHost = Math.ceil(jailCount / hostCount)

const key = 'a-key-for-the-bench-only'
const patienceMs = 30_000
const pollMs = 250
const at = new Date().toISOString()
const say = (line: string) => process.stdout.write(`${line}\n`)

const state = await mkdtemp(join(tmpdir(), 'provost-recover-'))
const redisPort = await findFreePort(process.pid)
const redisUrl = `redis://127.0.0.1:${redisPort}`
const server = startRedis(redisPort, state, join(state, 'redis.log'))
await redisAnswers(redisUrl, [])
const redis = connectRedis(redisUrl)
const port = await findFreePort(process.pid + 1)
const url = `http://127.0.0.1:${port}`
const producer = startProcess({
  name: 'producer',
  program: process.execPath,
  args: [new URL('../producer/main.ts', import.meta.url).pathname],
  env: { PROVOST_REDIS_URL: redisUrl, PROVOST_LISTEN: `127.0.0.1:${port}`, PROVOST_API_KEY: key, PROVOST_LOG_LEVEL: 'warn' },
  logFile: join(state, 'producer.log'),
})
await until('a producer', async () => (await fetch(`${url}/readyz`).catch(() => undefined))?.ok)

const hosts = await Promise.all(Array.from({ length: hostCount }, (_, i) => openHost(i)))
await untilRebuilt('')
const before = await allJails()
say(`${before.length} running jails on ${hostCount} hosts, ${await redis.dbsize()} keys in Redis`)

const { fleet } = await recovery()
const started = performance.now()
await redis.flushall()
const rebuilt = await untilRebuilt(fleet)
const seconds = (performance.now() - started) / 1_000
const operations = rebuilt.hosts.reduce((sum, host) => sum + host.operations, 0)
const isSame = JSON.stringify(await allJails()) === JSON.stringify(before)
say(`from FLUSHALL until all was admitted again: ${seconds.toFixed(1)} s (goal: under 60 s)`)
say(`rebuilt: ${before.length} jails, ${operations} operations; jails ${isSame ? 'as they were' : 'NOT as they were'}`)
const promised = await redis.hget(redisKeys('{provost}').promised('host0'), 'jails')
say(`promised on host0: ${promised} jails; leases: ${await redis.hlen(redisKeys('{provost}').leases)}`)

for (const { worker } of hosts) await worker.stop()
redis.disconnect()
await endProcess(producer.record, patienceMs)
await endProcess(server.record, patienceMs)
for (const { host } of hosts) await host.remove()
await rm(state, { recursive: true })
process.exitCode = isSame && seconds < 60 ? 0 : 1

/** A host whose jails are in its journal as if it had run for long. */
async function openHost(index: number) {
  const host = await simulatedHost()
  const name = `host${index}`
  writeJournal(join(host.root, 'host', 'journal'), name, index)
  const config: WorkerConfig = {
    host: name,
    runtime: 'linux',
    root: join(host.root, 'host'),
    commandPath: '/bin',
    etcDir: '/nonexistent',
    network: { mode: 'vnet', bridge: 'unused', pools: [{ name: 'main', cidr: `10.${index}.0.0/16`, exclude: [] }] },
    capacity: { jails: 100_000, memory: 2 ** 50, cpu: 100_000, fills: 1, builds: 2, starts: 2 },
    defaults: { memory: 2 ** 26, cpu: 0.1, processes: 100 },
    worlds: [],
    labels: {},
    redisUrl,
    redisPrefix: '{provost}',
    logLevel: 'silent',
    timing: standardTiming,
  }
  const run = commandRunner({ commandPath: config.commandPath, worker: config.root })
  return { host, worker: await startWorker(config, { host: host.host, run, log: pino({ level: 'silent' }) }) }
}

function writeJournal(directory: string, host: string, index: number): void {
  mkdirSync(join(directory, 'jails'), { recursive: true })
  const ended: string[] = []
  for (let i = 0; i < perHost; i += 1) {
    const epoch = 1 + 2 * (index * perHost + i)
    const name = `j${String(index * perHost + i).padStart(6, '0')}`
    const provision = uuid()
    const spec: JailSpec = {
      name,
      provision,
      client: `client${i % 100}`,
      hostname: name,
      world: 'tiny',
      worldDigest: 'd'.repeat(64),
      addresses: [`10.${index}.${1 + (i >> 8)}.${i & 255}/16`],
      limits: { memory: 2 ** 26, cpu: 0.1, processes: 100 },
      labels: { tier: 'gold' },
      createdAt: at,
    }
    const jail = { type: 'jail', epoch: epoch + 1, wanted: 'running', leftovers: [], spec }
    writeFileSync(join(directory, 'jails', `${name}.ndjson`), `${JSON.stringify(jail)}\n`)
    for (const [kind, operation, own] of [
      ['provision', provision, epoch],
      ['restart', uuid(), epoch + 1],
    ] as const) {
      const request = { key: `fleet:${'f'.repeat(24)}${operation}`, fingerprint: 'e'.repeat(64) }
      const job = { kind, plan: 1, spec, origin: { createdAt: at, requests: [request] } }
      ended.push(JSON.stringify({ ...reportOf(host, name, kind, operation, own), job }))
    }
  }
  writeFileSync(join(directory, 'ended.ndjson'), `${ended.join('\n')}\n`)
}

function reportOf(host: string, jail: string, kind: 'provision' | 'restart', operation: string, epoch: number): OperationReport {
  const plan = planOf(kind, 1, [1])
  const done = { status: 'succeeded', startedAt: at, finishedAt: at, attempt: 1 } as const
  const steps = plan ? stepsOf(plan).map(({ name, title }) => ({ name, title, ...done })) : []
  const checks = ['hostname', 'addresses', 'processes', 'root', 'devices', 'privileges'].map((name) => ({
    name,
    ok: true,
    detail: 'as it should be',
  }))
  return {
    ...{ type: 'operation', host, operation, epoch, attempt: 1, sequence: 1_000_007, at, status: 'succeeded', percent: 100 },
    ...{ step: null, steps, jail, world: 'tiny', jailState: 'running', jid: 7, isolation: { checkedAt: at, checks } },
  }
}

/** Seldom: each answer takes from the producer what is measured. */
async function poll<T>(look: () => Promise<T | false>): Promise<T> {
  for (;;) {
    const found = await look()
    if (found !== false) return found
    await pause(pollMs)
  }
}

async function recovery(): Promise<Recovery> {
  return (await ask(`${url}/v1/recover`, key, 'GET')).body as Recovery
}

/** Until the records are those of another fleet than the last one, and jails can be asked for. */
function untilRebuilt(last: string): Promise<Recovery> {
  const look = async () => {
    const now = await recovery()
    const isDone = now.fleet !== last && now.state === 'normal' && now.hosts.length === hostCount
    return isDone && now.hosts.every(({ jails }) => jails === perHost) && now
  }
  return poll(look)
}

async function allJails(): Promise<Omit<Jail, 'updatedAt'>[]> {
  const jails: Omit<Jail, 'updatedAt'>[] = []
  let cursor = ''
  for (;;) {
    const { body } = await ask(`${url}/v1/jails?limit=500${cursor}`, key, 'GET')
    const { items, nextCursor } = body as { items: Jail[]; nextCursor: string | null }
    for (const { updatedAt: _, ...jail } of items) jails.push(jail)
    if (!nextCursor) return jails
    cursor = `&cursor=${encodeURIComponent(nextCursor)}`
  }
}
