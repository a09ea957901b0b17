import type { Logger } from 'pino'
import { redisKeys } from '#shared/keys.ts'
import { connectRedis, failFast, unlessAway, waitForEver } from '#shared/redis.ts'
import type { Service } from '#shared/run-service.ts'
import { buildApp } from './app.ts'
import type { ProducerConfig } from './config.ts'
import { makeEnqueue } from './enqueue.ts'
import { openEventFeed } from './event-feed.ts'
import { followReports } from './follow-reports.ts'
import { makeOperate } from './operate.ts'
import { openHostRegistry } from './placement/host-registry.ts'
import { makeRecords } from './records.ts'
import { makeScripts } from './scripts.ts'
import { startSweeper } from './sweep.ts'

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
  const records = makeRecords(redis, keys)
  const { enqueue, close: closeFlows } = makeEnqueue(redis, keys)
  const announceHost = (id: string) =>
    void scripts
      .commit({ unchanged: [], commands: [], events: [['host', id, '']] })
      .catch((error) => log.warn({ err: error.message }, 'host event'))
  const hosts = await openHostRegistry({ redis, keys, log, members: config.hosts, onChange: announceHost })
  const feed = await openEventFeed({ reader: eventReader, redis, keys, log })
  const operate = makeOperate({
    redis,
    keys,
    scripts,
    records,
    log,
    enqueue,
    hosts: hosts.all,
    notePromise: hosts.notePromise,
    placement: config.placement,
  })
  const reports = followReports({ reader: reportReader, redis, keys, records, scripts, log })
  const sweeper = startSweeper({ redis, keys, records, scripts, log, enqueue })

  const app = await buildApp({ redis, keys, records, operate, hosts, feed, apiKey: config.apiKey, log, announceHost })
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
      hosts.close()
      await unlessAway(redis, redisAwayMs, closeAll())
      redis.disconnect()
    },
  }
}
