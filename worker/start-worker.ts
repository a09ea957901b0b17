import { loadavg } from 'node:os'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { planVersion } from '#shared/job.ts'
import { redisKeys } from '#shared/keys.ts'
import { connectRedis, unlessAway, waitForEver } from '#shared/redis.ts'
import type { Report } from '#shared/report.ts'
import type { Service } from '#shared/run-service.ts'
import { type RetryPolicy, stepRetry } from './backoff.ts'
import { bindOperation, readStanding } from './binding.ts'
import { claimHost } from './claim-host.ts'
import { makeCompareRecords } from './compare-records.ts'
import type { WorkerConfig } from './config.ts'
import { consumeJobs } from './consume-jobs.ts'
import { makeDriftNotes } from './drift-notes.ts'
import { followCancels } from './follow-cancels.ts'
import type { HostRuntime } from './host/host-runtime.ts'
import type { RunCommand } from './host/run-command.ts'
import { lockHost } from './host-lock.ts'
import { makeJailLocks } from './jail-locks.ts'
import { openJournal } from './journal.ts'
import { makeOperationLog } from './operation-log.ts'
import { reportHost } from './report-host.ts'
import { reviveJails, settledJails } from './revive-jails.ts'
import type { RunDeps } from './run.ts'
import { makeRunFill } from './run-fill.ts'
import { makeRunJob } from './run-job.ts'
import { makeTimings } from './timings.ts'
import { trimConsoles } from './trim-consoles.ts'
import { watchDrift } from './watch-drift.ts'
import { makeWorldStore } from './worlds/make-world-store.ts'
import { removeUnusedWorlds } from './worlds/remove-unused-worlds.ts'

/** `plans`: the plan versions that it knows. */
type Parts = { host: HostRuntime; run: RunCommand; log: Logger; retry?: RetryPolicy; plans?: number[] }

/** How long a worker that stops waits for a Redis that is away. */
const redisAwayMs = 3_000

/** Makes this process the worker of its host: finds what is there, goes on with it, then takes jobs. */
export async function startWorker(config: WorkerConfig, parts: Parts): Promise<Service> {
  const { host, run, log, retry = stepRetry, plans = [planVersion] } = parts
  const directory = await host.open()
  await lockHost(host, directory)
  await host.endPredecessor()

  let reporting: Awaited<ReturnType<typeof reportHost>> | undefined
  const worlds = makeWorldStore({
    worlds: config.worlds,
    host,
    run,
    fills: config.capacity.fills,
    log,
    changed: () => reporting?.changed(),
  })
  await worlds.open()
  const journal = await openJournal(join(directory, 'journal'))

  const keys = redisKeys(config.redisPrefix)
  const redis = connectRedis(config.redisUrl, waitForEver)
  const subscriber = connectRedis(config.redisUrl, waitForEver)
  for (const connection of [redis, subscriber]) connection.on('error', (error) => log.warn({ err: error.message }, 'redis'))
  const send = async (report: Report) => {
    await redis.xadd(keys.reports, '*', 'report', JSON.stringify(report))
  }

  const stopping = new AbortController()
  const withJail = makeJailLocks()
  const { builds, starts } = config.capacity
  const claim = {
    key: keys.hostAlive(config.host),
    holder: `${directory}, boot ${await host.bootId()}`,
    holdsMs: config.timing.silence,
  }
  // Needs no Redis: after a reboot clients have their jails before the fleet has its queue.
  const revived = reviveJails(settledJails(journal), { hostId: config.host, host, worlds, journal, log, withJail, send })
  await claimHost(redis, config.host, claim)
  const runDeps: RunDeps = {
    host,
    worlds,
    journal,
    plans,
    withJail,
    send,
    standing: (job) => readStanding(redis, keys, job),
    bind: (job) => bindOperation(redis, keys, job),
    stopping: stopping.signal,
    retry,
  }
  const drift = makeDriftNotes(redis, keys.hostDrift(config.host))
  await drift.open()
  const records = makeCompareRecords({ hostId: config.host, redis, keys, drift, log, run: runDeps })
  // Before any job is taken: what was moved away meanwhile may be anywhere else by now.
  await records.compareAll()
  const comparing = setInterval(records.compareAll, config.timing.compare)
  const timings = makeTimings({ write: (now) => redis.set(keys.hostTimings(config.host), JSON.stringify(now)), log })
  for (const report of journal.endedReports()) timings.note(report)

  const consumer = await consumeJobs({
    host: config.host,
    prefix: keys.host(config.host),
    slots: { build: builds, start: starts, stop: Math.max(2, starts) },
    stopping: stopping.signal,
    timing: config.timing,
    redis,
    log,
    operationLog: (operation) => makeOperationLog(redis, keys.log(config.host, operation)),
    run: makeRunJob({
      redis,
      keys,
      run: runDeps,
      runFill: makeRunFill({ worlds, send, standing: (job) => readStanding(redis, keys, job), stopping: stopping.signal }),
      timings,
      ended(jail) {
        if (drift.entries().has(jail)) void records.compareJail(jail)
      },
    }),
  })
  const stopWatching = watchDrift({
    hostId: config.host,
    host,
    journal,
    withJail,
    send,
    drift,
    revived,
    log,
    everyMs: config.timing.drift,
  })
  await followCancels(subscriber, keys.cancels(config.host), consumer, log)
  reporting = await reportHost({
    config,
    host,
    worlds,
    redis,
    keys,
    claim,
    log,
    send,
    plans,
    drift: () => drift.entries().size,
    load: () => ({
      fills: worlds.states().filter(({ state }) => state === 'filling').length,
      builds: consumer.running('build'),
      starts: consumer.running('start'),
      jails: journal.jails().length,
      loadAverage: loadavg()[0] ?? 0,
    }),
  })
  worlds.prefill()
  const usedWorlds = () => journal.jails().map(({ spec }) => ({ name: spec.world, digest: spec.worldDigest }))
  const stopRemoving = removeUnusedWorlds({ worlds, used: usedWorlds, log })
  const stopTrimming = trimConsoles(() => journal.jails().map(({ spec }) => host.consoleOf(spec)), log)
  log.info({ host: config.host, pid: process.pid }, 'worker is up')

  async function endInOrder(): Promise<void> {
    // Together: while fills end, no more jobs are taken, only to be put back.
    await Promise.all([worlds.close(), consumer.stop()])
    await reporting?.stop()
  }

  return {
    async stop() {
      stopping.abort()
      stopTrimming()
      stopWatching()
      stopRemoving()
      clearInterval(comparing)
      timings.stop()
      await unlessAway(redis, redisAwayMs, endInOrder())
      redis.disconnect()
      subscriber.disconnect()
    },
  }
}
