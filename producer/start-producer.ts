import type { Logger } from 'pino'
import type { Service } from '#shared/process/run-service.ts'
import { connectRedis, failFast, hasSentinel, unlessAway, waitForEver } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import { makeChangeBatch } from './batches/change-batch.ts'
import { makeAcceptBatch } from './batches/intake/accept-batch.ts'
import { makeClaims } from './batches/intake/claim-names.ts'
import { isBounded, startBatches } from './batches/run-batches.ts'
import type { ProducerConfig } from './config.ts'
import { makeForgetHost } from './hosts/forget-host.ts'
import { openHostRegistry } from './hosts/host-registry.ts'
import { startMoving } from './hosts/move-operations.ts'
import { makeOrphans } from './hosts/orphans.ts'
import { startReleasingStrayLeases } from './hosts/release-stray-leases.ts'
import { buildApp } from './http/app.ts'
import { makeAwaitReplica } from './http/await-replica.ts'
import { makeAccept } from './operations/accept.ts'
import { makeOperate } from './operations/operate.ts'
import { makeEnqueue } from './queues/enqueue.ts'
import { makeExplain } from './queues/explain-wait.ts'
import { startSweeper } from './queues/replace-lost-jobs.ts'
import { openEventFeed } from './records/event-feed.ts'
import { makeRecords } from './records/records.ts'
import { makeScripts } from './records/scripts.ts'
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

  const scripts = makeScripts(redis, keys)
  const records = makeRecords(redis, keys, log)
  const { enqueue, close: closeFlows } = makeEnqueue(redis, keys)
  const announceHost = (id: string) =>
    void scripts
      .commit({ unchanged: [], commands: [], events: [['host', id, '']] })
      .catch((error) => log.warn({ err: error.message }, 'host event'))
  const hosts = await openHostRegistry({ redis, keys, log, members: config.hosts, timing: config.timing, onChange: announceHost })
  const feed = await openEventFeed({ reader: eventReader, redis, keys, log })
  const metrics = makeMetrics({ redis, keys, hosts })
  const common = { redis, keys, records, scripts, log, enqueue, timing: config.timing }
  const recovery = await openRecovery({ ...common, hosts, members: config.hosts })
  const placing = {
    ...common,
    hosts: hosts.all,
    notePromise: hosts.notePromise,
    placement: config.placement,
    fleet: recovery.openFleet,
  }
  const { accept } = makeAccept(common)
  const reports = followReports({ ...common, reader: reportReader, metrics })
  const sweeper = startSweeper(common)
  const stopMoving = startMoving({ ...placing, onMoved: metrics.moved })
  const stopReleasing = startReleasingStrayLeases({ ...common, hosts })

  const operate = makeOperate(placing)
  const claims = makeClaims(common)
  const stopBatches = startBatches({
    ...common,
    claims,
    operate: makeOperate({ ...placing, hosts: () => hosts.all().filter((host) => !isBounded(host)) }),
    hosts,
    feed,
  })

  const app = await buildApp({
    redis,
    keys,
    records,
    operate,
    changeBatch: makeChangeBatch({ ...common, operate, claims }),
    batches: makeAcceptBatch(placing),
    orphans: makeOrphans({ ...common, accept }),
    forgetHost: makeForgetHost({ ...common, hosts, recovery }),
    explain: makeExplain({ redis, keys, hosts }),
    metrics,
    hosts,
    recovery,
    feed,
    apiKey: config.apiKey,
    log,
    awaitReplica: hasSentinel(config.redisUrl) ? makeAwaitReplica(redis, keys) : undefined,
    announceHost,
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
