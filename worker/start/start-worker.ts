import type { Service } from '#shared/process/run-service.ts'
import { makeServices } from '#shared/process/services.ts'
import { waitUnlessAway } from '#shared/redis/connect-redis.ts'
import type { WorkerConfig } from '../config/config.ts'
import { undoProvisions } from '../fleet/undo-provisions.ts'
import { lockHost } from '../host/files/lock-host.ts'
import { joinFleet } from './join-fleet.ts'
import { connect, openBase, type Parts } from './open-base.ts'
import { openHost } from './open-host.ts'
import { takeJobs } from './take-jobs.ts'
import { watchHost } from './watch-host.ts'

/** How long a worker that stops waits for a Redis that is away, in milliseconds. */
const redisAwayMs = 3_000

/**
 * Makes this process the worker of its host: reads what is there, goes on with it, then takes jobs. The services that are
 * started here are stopped in reverse.
 */
export async function startWorker(config: WorkerConfig, parts: Parts): Promise<Service> {
  const { host, log } = parts
  const directory = await host.open()
  await lockHost(host, directory)
  await host.endPredecessor()
  const stopping = new AbortController()
  const connections = connect(config, log)
  const { redis } = connections
  const services = makeServices(log)

  async function endServices(): Promise<void> {
    await waitUnlessAway(redis, redisAwayMs, services.stop())
    for (const connection of Object.values(connections)) connection.disconnect()
  }

  try {
    const base = await openBase(config, parts, { ...connections, directory, services, stopping: stopping.signal })
    const local = await openHost(base)
    const fleet = await joinFleet(base, local)
    const watching = await watchHost(base, local, fleet)
    const consumer = await takeJobs(base, local, fleet, watching)
    log.info({ host: config.host }, 'worker is up')
    const failed = base.presence.lost.then((loss) => {
      log.error({ reason: loss.message }, 'this worker ends: its host has another one')
      stopping.abort()
      consumer()?.abandonProvisions(loss)
      return loss
    })
    return {
      failed,
      async stop() {
        stopping.abort()
        // At once: should this process be killed while a step still runs, that must not count against its operation.
        await local.journal.leaveRuns().catch((error) => log.warn({ err: error }, 'that runs were left could not be noted'))
        await endServices()
        const loss = base.presence.loss()
        if (loss) await undoProvisions(loss, { hostId: config.host, runDeps: fleet.runDeps, log })
      },
    }
  } catch (error) {
    stopping.abort()
    await endServices().catch(() => undefined)
    throw error
  }
}
