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
import { httpClient } from '../cli/http/client.ts'
import { listAll } from '../cli/http/list-all.ts'
import { enrolOnDisk } from '../test/support/fleets/enrol-on-disk.ts'
import { simulatedHost } from '../test/support/hosts/simulated-host.ts'
import type { WorkerConfig } from '../worker/config/config.ts'
import { commandRunner } from '../worker/host/programs/run-command.ts'
import { readIdentity } from '../worker/identity/identity.ts'
import { planOf, stepsOf } from '../worker/plans/plans.ts'
import { startWorker } from '../worker/start/start-worker.ts'
import { ask } from './fleet/ask.ts'
import { openProducer, openRedis } from './fleet/open-services.ts'

const { values } = parseArgs({ options: { hosts: { type: 'string' }, jails: { type: 'string' } } })
const hostCount = Number(values.hosts ?? 10)
const jailCount = Number(values.jails ?? 10_000)
const perHost = Math.ceil(jailCount / hostCount)

const pollMs = 250
const at = new Date().toISOString()
const print = (line: string) => process.stdout.write(`${line}\n`)

const state = await mkdtemp(join(tmpdir(), 'provost-recover-'))
const server = await openRedis(state)
const redis = connectRedis(server.url)
const producer = await openProducer(server.url, state)

const hosts = await Promise.all(Array.from({ length: hostCount }, (_, i) => openHost(i)))
await untilRebuilt('')
const before = await allJails()
print(`${before.length} running jails on ${hostCount} hosts, ${await redis.dbsize()} keys in Redis`)

const { fleet } = await recovery()
const started = performance.now()
await redis.flushall()
const rebuilt = await untilRebuilt(fleet)
const seconds = (performance.now() - started) / 1_000
const operations = rebuilt.hosts.reduce((sum, host) => sum + host.operations, 0)
const isSame = JSON.stringify(await allJails()) === JSON.stringify(before)
print(`from FLUSHALL until all was admitted again: ${seconds.toFixed(1)} s (goal: under 60 s)`)
print(`rebuilt: ${before.length} jails, ${operations} operations; jails ${isSame ? 'as they were' : 'NOT as they were'}`)
const promised = await redis.hget(redisKeys('{provost}').promised('host0'), 'jails')
print(`promised on host0: ${promised} jails; leases: ${await redis.hlen(redisKeys('{provost}').leases)}`)

for (const { worker } of hosts) await worker.stop()
redis.disconnect()
await producer.stop()
await server.stop()
for (const { host } of hosts) await host.remove()
await rm(state, { recursive: true })
process.exitCode = isSame && seconds < 60 ? 0 : 1

/** Opens a host with a journal as if it had been in use for long. */
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
    redisUrl: server.url,
    redisPrefix: '{provost}',
    logLevel: 'silent',
    timing: standardTiming,
  }
  const identity = readIdentity(enrolOnDisk(state, name), name)
  const run = commandRunner({ commandPath: config.commandPath, worker: config.root })
  return { host, worker: await startWorker(config, { host: host.host, run, log: pino({ level: 'silent' }), identity }) }
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

async function recovery(): Promise<Recovery> {
  return (await ask(`${producer.url}/v1/recover`, producer.key, 'GET')).body as Recovery
}

/**
 * Waits until the records are of another fleet than `last` and jails can be asked for. Polls rarely: each answer costs the
 * producer time that is measured.
 */
async function untilRebuilt(last: string): Promise<Recovery> {
  for (;;) {
    const now = await recovery()
    const isDone = now.fleet !== last && now.state === 'normal' && now.hosts.length === hostCount
    if (isDone && now.hosts.every(({ jails }) => jails === perHost)) return now
    await pause(pollMs)
  }
}

async function allJails(): Promise<Omit<Jail, 'updatedAt'>[]> {
  const items = await listAll(httpClient(producer), '/v1/jails', { limit: '500' })
  return items.map((item) => {
    const { updatedAt: _, ...jail } = item as Jail
    return jail
  })
}
