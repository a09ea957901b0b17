import type { Logger } from 'pino'
import { backgroundWork } from '#shared/process/repeat.ts'
import type { Service } from '#shared/process/run-service.ts'
import { makeServices } from '#shared/process/services.ts'
import { connectRedis, failFast, hasSentinel, waitForEver, waitUnlessAway } from '#shared/redis/connect-redis.ts'
import { askTime } from '#shared/redis/fleet-clock.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import { requireAccess } from '#shared/redis/require-access.ts'
import { runBatches } from './batches/run-batches.ts'
import type { ProducerConfig } from './config.ts'
import { announceHost } from './hosts/announce-host.ts'
import { openHostRegistry } from './hosts/host-registry.ts'
import { makeMoveOperations } from './hosts/move-operations.ts'
import { holdOrphans } from './hosts/orphans/hold-orphans.ts'
import { releaseStrayLeases } from './hosts/orphans/release-stray-leases.ts'
import { makeAwaitReplica } from './http/answers/await-replica.ts'
import { buildApp } from './http/app.ts'
import type { AppDeps } from './http/app-deps.ts'
import { makeDropExpired } from './operations/drop-expired.ts'
import { makeAddMissingJobs } from './queues/add-missing-jobs.ts'
import { openQueues } from './queues/enqueue.ts'
import { makeExplain } from './queues/explain-wait.ts'
import { replaceLostJobs } from './queues/replace-lost-jobs.ts'
import { openEventFeed } from './records/event-feed.ts'
import { openStore } from './records/store.ts'
import { watchWrites } from './records/watch-writes.ts'
import { openRecovery } from './recovery/recovery.ts'
import { followReports } from './reports/follow-reports.ts'
import { makeMetrics } from './reports/metrics.ts'
import type { Secrets } from './secrets/secrets.ts'

const commandTimeoutMs = 5_000
const answerWithinMs = 5_000
/** How long a stopping producer waits for a Redis that is away. */
const redisAwayMs = 3_000
const strayLeasesEveryMs = 60_000

/** Opens connections, then what reads and writes records, then the HTTP service. All of it is stopped in reverse order. */
export async function startProducer(config: ProducerConfig, log: Logger, secrets: Secrets): Promise<Service & { url: string }> {
  const { timing } = config
  await requireAccess(config.redisUrl)
  const connections = await connect(config, log)
  const { redis } = connections
  const store = openStore(redis, redisKeys(config.redisPrefix), log, secrets)
  const metrics = makeMetrics(store)
  const { repeat, follow } = backgroundWork(log, metrics.passed)
  const services = makeServices(log)

  await askTime(redis).catch(() => undefined)
  const queues = services.add(openQueues(store))
  const feed = services.add(await openEventFeed({ ...store, reader: connections.eventReader, follow }))
  const writes = watchWrites(store, timing.silence)
  const known = { ...store, log, repeat, timing, writes, members: config.hosts }
  const hosts = services.add(await openHostRegistry({ ...known, onChange: (id) => void announceHost(known, id) }))
  metrics.watchHosts(hosts)
  const recovery = services.add(await openRecovery({ ...known, hosts }))
  const { enqueue } = queues
  const openFleet = () => {
    writes.assertTaken()
    return recovery.openFleet()
  }
  const deps = {
    ...known,
    enqueue,
    hosts,
    placement: config.placement,
    openFleet,
    seenEpoch: recovery.seenEpoch,
    feed,
    metrics,
    onMoved: metrics.moved,
  }
  const missingJobs = makeAddMissingJobs(deps)

  services.add(followReports({ ...deps, follow, reader: connections.reportReader }))
  services.add(repeat('add-missing-jobs', timing.look, missingJobs.add))
  services.add(repeat('replace-lost-jobs', timing.lost, () => replaceLostJobs(deps)))
  services.add(repeat('drop-expired', timing.lost, makeDropExpired(known)))
  services.add(repeat('move-operations', timing.look, makeMoveOperations(deps)))
  services.add(repeat('hold-orphans', timing.look, () => holdOrphans(deps)))
  services.add(repeat('release-stray-leases', strayLeasesEveryMs, () => releaseStrayLeases(deps)))
  services.add(runBatches(deps))

  const awaitReplica = hasSentinel(config.redisUrl) ? makeAwaitReplica(redis, store.keys) : undefined
  const app = {
    ...deps,
    recovery,
    missingJobs,
    explain: makeExplain({ ...deps, missingJobs }),
    apiKey: config.apiKey,
    publicUrl: config.publicUrl ?? { path: '' },
    awaitReplica,
  }
  const http = services.add(await listen(app, config.listen))

  return {
    url: http.url,
    async stop() {
      await waitUnlessAway(redis, redisAwayMs, services.stop())
      for (const connection of Object.values(connections)) connection.disconnect()
    },
  }
}

/** Opens the connections to Redis; readers that block have their own. */
async function connect({ redisUrl }: ProducerConfig, log: Logger) {
  const open = (options: Parameters<typeof connectRedis>[1]) => {
    const connection = connectRedis(redisUrl, options)
    connection.on('error', (error) => log.warn({ err: error.message }, 'redis'))
    return connection
  }
  const redis = open({ ...failFast, commandTimeout: commandTimeoutMs })
  await new Promise<void>((resolve) => redis.once('ready', resolve).once('error', () => resolve()))
  return { redis, reportReader: open(waitForEver), eventReader: open(waitForEver) }
}

/** Starts the HTTP service. */
async function listen(deps: AppDeps, address: ProducerConfig['listen']) {
  const app = await buildApp(deps)
  return {
    name: 'http',
    url: await app.listen(address),
    async stop(): Promise<void> {
      // Ends streams and waits first; open requests are answered.
      deps.feed.end()
      const late = setTimeout(() => app.server.closeAllConnections(), answerWithinMs)
      await app.close()
      clearTimeout(late)
    },
  }
}
