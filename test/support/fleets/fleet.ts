import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SetuidSupport } from '#shared/host.ts'
import type { RetryPolicy } from '#shared/process/retry-policy.ts'
import type { Service } from '#shared/process/run-service.ts'
import { standardTiming, type Timing } from '#shared/process/timing.ts'
import type { WorkerConfig } from '../../../worker/config/config.ts'
import { commandRunner } from '../../../worker/host/programs/run-command.ts'
import type { JournalFiles } from '../../../worker/journal/file.ts'
import { startWorker } from '../../../worker/start/start-worker.ts'
import { type SimulatedHost, simulatedHost } from '../hosts/simulated-host.ts'
import type { TestRedis } from '../redis/redis-test.ts'
import { makeClient } from './client.ts'
import { log, startTestProducer, testIdentity } from './test-producer.ts'

const commandPath = '/sbin:/bin:/usr/sbin:/usr/bin'

type Settings = {
  hosts?: string[]
  pools?: WorkerConfig['network']['pools']
  capacity?: Partial<WorkerConfig['capacity']>
  worlds?: WorkerConfig['worlds']
  /** In which jails of all hosts setuid programs give their rights; in none unless said. */
  setuid?: SetuidSupport
  retry?: RetryPolicy
  /** The hosts that the producer's configuration names. */
  members?: string[]
  /** Where people reach the producer. */
  publicUrl?: string
  timing?: Timing
  /** The disk under the journals of the hosts. */
  files?: JournalFiles
}

export type Fleet = Awaited<ReturnType<typeof startFleet>>

/** A producer and workers in this process, on a real Redis; the hosts are simulated, one world is ready: `tiny`. */
export async function startFleet(redis: TestRedis, settings: Settings = {}) {
  const names = settings.hosts ?? ['host1']
  const hosts = new Map<string, SimulatedHost>()
  const workers = new Map<string, Service>()

  const producer = await startTestProducer(redis, settings.timing, { hosts: settings.members, publicUrl: settings.publicUrl })

  // One for all: a world of one name is of one definition in a fleet.
  const tree = await mkdtemp(join(tmpdir(), 'provost-world-'))
  await mkdir(join(tree, 'etc'))
  await writeFile(join(tree, 'etc', 'motd'), 'a world\n')

  /** `plans`: the versions that its worker knows. */
  async function startHost(name: string, plans?: number[]): Promise<void> {
    const simulated = hosts.get(name) ?? (await simulatedHost())
    if (!hosts.has(name)) simulated.allowSetuid(settings.setuid ?? 'never')
    hosts.set(name, simulated)
    workers.set(name, await startOn(name, simulated, plans))
  }

  async function startOn(name: string, simulated: SimulatedHost, plans?: number[]): Promise<Service> {
    const index = names.indexOf(name)
    const config: WorkerConfig = {
      host: name,
      runtime: 'linux',
      root: join(simulated.root, 'host'),
      commandPath,
      etcDir: '/nonexistent',
      network: {
        mode: 'vnet',
        bridge: 'unused',
        pools: settings.pools ?? [{ name: 'main', cidr: `10.99.${index}.0/24`, gateway: `10.99.${index}.1`, exclude: [] }],
      },
      capacity: { jails: 1_000, memory: 2 ** 40, cpu: 1_000, fills: 1, builds: 2, starts: 2, ...settings.capacity },
      defaults: { memory: 2 ** 26, cpu: 0.1, processes: 100 },
      worlds: [{ name: 'tiny', method: 'tree', path: tree, prefill: true }, ...(settings.worlds ?? [])],
      labels: {},
      redisUrl: redis.url,
      redisPrefix: redis.prefix,
      logLevel: 'silent',
      timing: settings.timing ?? standardTiming,
    }
    const run = commandRunner({ commandPath, worker: config.root })
    const { retry, files } = settings
    const options = { ...(retry ? { retry } : {}), ...(plans ? { plans } : {}), ...(files ? { files } : {}) }
    return startWorker(config, { host: simulated.host, run, log, identity: testIdentity(name), ...options })
  }

  for (const name of names) await startHost(name)
  const client = makeClient(producer.url)
  let producerRuns = true
  async function stopProducer(): Promise<void> {
    if (producerRuns) await producer.stop()
    producerRuns = false
  }
  const fleet = {
    ...client,
    startHost,
    /** Gives a host that is stopped another name in its configuration. */
    renameHost(from: string, to: string): void {
      hosts.set(to, hosts.get(from) as SimulatedHost)
      hosts.delete(from)
    },
    /** Another worker under the name of a host that has one. */
    async startTwin(name: string): Promise<void> {
      const twin = await simulatedHost()
      await startOn(name, twin).finally(twin.remove)
    },
    host: (name = names[0] ?? '') => hosts.get(name) as SimulatedHost,
    /** Settles when the worker of a host cannot go on, with the reason. */
    failure: (name = names[0] ?? '') => workers.get(name)?.failed,
    async stopHost(name = names[0] ?? ''): Promise<void> {
      const worker = workers.get(name)
      workers.delete(name)
      await worker?.stop()
    },
    stopProducer,
    async stop(): Promise<void> {
      await Promise.all([...workers.values()].map((worker) => worker.stop()))
      await stopProducer()
      for (const host of hosts.values()) await host.remove()
      await rm(tree, { recursive: true })
    },
  }
  await Promise.all(names.map((name) => client.hostIs(name, 'up')))
  return fleet
}
