import type { Logger } from 'pino'
import type { Service } from '#shared/process/run-service.ts'
import { connectRedis, failFast, hasSentinel, unlessAway, waitForEver } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import { startBatches } from './batches/run-batches.ts'
import type { ProducerConfig } from './config.ts'
import { announceHost } from './hosts/announce-host.ts'
import { openHostRegistry } from './hosts/host-registry.ts'
import { startMoving } from './hosts/move-operations.ts'
import { startReleasingStrayLeases } from './hosts/release-stray-leases.ts'
import { buildApp } from './http/app.ts'
import { makeAwaitReplica } from './http/await-replica.ts'
import { openQueues } from './queues/enqueue.ts'
import { makeExplain } from './queues/explain-wait.ts'
import { startSweeper } from './queues/sweep.ts'
import { openEventFeed } from './records/event-feed.ts'
import { openStore } from './records/store.ts'
import { openRecovery } from './recovery/recovery.ts'
import { followReports } from './reports/follow-reports.ts'
import { makeMetrics } from './reports/metrics.ts'

const commandTimeoutMs = 5_000
const answerWithinMs = 5_000
/** How long a producer that stops waits for a Redis that is away. */
const redisAwayMs = 3_000

/** Opens the connections, then the parts that read and write records, then the door. */
export async function startProducer(config: ProducerConfig, log: Logger): Promise<Service & { url: string }> {
  const keys = redisKeys(config.redisPrefix)
  const connect = (options: Parameters<typeof connectRedis>[1]) => {
    const connection = connectRedis(config.redisUrl, options)
    connection.on('error', (error) => log.warn({ err: error.message }, 'redis'))
    return connection
  }
  const redis = connect({ ...failFast, commandTimeout: commandTimeoutMs })
  await new Promise<void>((resolve) => redis.once('ready', resolve).once('error', () => resolve()))
  const reportReader = connect(waitForEver)
  const eventReader = connect(waitForEver)

  const store = openStore(redis, keys, log)
  const { enqueue, close: closeFlows } = openQueues(store)
  const known = { ...store, log, members: config.hosts, timing: config.timing }
  const hosts = await openHostRegistry({ ...known, onChange: (id) => void announceHost(known, id) })
  const feed = await openEventFeed({ reader: eventReader, redis, keys, log })
  const metrics = makeMetrics({ ...store, hosts })
  const recovery = await openRecovery({ ...known, hosts })
  const deps = { ...known, enqueue, hosts, placement: config.placement, openFleet: recovery.openFleet, feed, metrics }
  const reports = followReports({ ...deps, reader: reportReader })
  const sweeper = startSweeper(deps)
  const stopMoving = startMoving({ ...deps, onMoved: metrics.moved })
  const stopReleasing = startReleasingStrayLeases(deps)
  const stopBatches = startBatches(deps)

  const app = await buildApp({
    ...deps,
    explain: makeExplain(deps),
    recovery,
    apiKey: config.apiKey,
    awaitReplica: hasSentinel(config.redisUrl) ? makeAwaitReplica(redis, keys) : undefined,
  })
  const url = await app.listen(config.listen)

  async function closeAll(): Promise<void> {
    // Streams and waits end first; a request under way is answered.
    await feed.stop()
    const late = setTimeout(() => app.server.closeAllConnections(), answerWithinMs)
    await app.close()
    clearTimeout(late)
    await reports.stop()
    await closeFlows()
  }

  return {
    url,
    async stop() {
      sweeper.stop()
      stopMoving()
      const batchesEnd = stopBatches()
      stopReleasing()
      hosts.close()
      recovery.close()
      await unlessAway(redis, redisAwayMs, Promise.all([batchesEnd, closeAll()]))
      redis.disconnect()
    },
  }
}
