import { join } from 'node:path'
import pLimit from 'p-limit'
import type { Logger } from 'pino'
import { Drift, Leftover } from '#shared/host.ts'
import { planVersion } from '#shared/job.ts'
import { type RetryPolicy, stepRetry } from '#shared/process/retry-policy.ts'
import type { Service } from '#shared/process/run-service.ts'
import { connectRedis, unlessAway, waitForEver } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import type { WorkerConfig } from './config/config.ts'
import { makeCompareRecords } from './fleet/compare-records.ts'
import { followFleet } from './fleet/follow-fleet.ts'
import { lockHost } from './host/host-lock.ts'
import type { HostRuntime } from './host/host-runtime.ts'
import type { RunCommand } from './host/run-command.ts'
import { makeJailLocks } from './jails/jail-locks.ts'
import { tellStanding } from './jails/report-jail.ts'
import { retryLeftovers } from './jails/retry-leftovers.ts'
import { reviveJails, settledJails } from './jails/revive-jails.ts'
import { trimConsoles } from './jails/trim-consoles.ts'
import { watchDrift } from './jails/watch-drift.ts'
import { consumeJobs } from './jobs/consume-jobs.ts'
import { followNotices } from './jobs/follow-notices.ts'
import { makeGiveWay } from './jobs/precedence.ts'
import { readLoad } from './jobs/read-load.ts'
import { makeRefuseUnreadable } from './jobs/refuse-unreadable.ts'
import { makeRunFill } from './jobs/run-fill.ts'
import { makeRunJob } from './jobs/run-job.ts'
import { type JournalFiles, journalFiles } from './journal/file.ts'
import { openJournal } from './journal/journal.ts'
import { makeOperationLog } from './plans/operation-log.ts'
import { bindOperation, readStanding } from './plans/read-record.ts'
import type { RunDeps } from './plans/run.ts'
import { claimHost } from './reports/claim-host.ts'
import { makeHostNotes } from './reports/host-notes.ts'
import { reportHost } from './reports/report-host.ts'
import { openReportStream } from './reports/report-stream.ts'
import { makeTimings } from './reports/timings.ts'
import { openFillKills } from './worlds/fill-kills.ts'
import { makeWorldStore } from './worlds/make-world-store.ts'
import { removeUnusedWorlds } from './worlds/remove-unused-worlds.ts'

/** `plans`: the plan versions that it knows. `amend`: changes what runs are given, for trials that plant faults. */
type Parts = {
  host: HostRuntime
  run: RunCommand
  log: Logger
  retry?: RetryPolicy
  plans?: number[]
  files?: JournalFiles
  amend?(deps: RunDeps): RunDeps
}

/** Of how many operations that ended before a start their steps still count. */
const timedAtStart = 5_000
/** How long a step of a batch waits for others at most. */
const mostGivenWayMs = 1_000

/** How long a worker that stops waits for a Redis that is away. */
const redisAwayMs = 3_000

/** Makes this process the worker of its host: finds what is there, goes on with it, then takes jobs. */
export async function startWorker(config: WorkerConfig, parts: Parts): Promise<Service> {
  const { host, run, log, retry = stepRetry, plans = [planVersion], files = journalFiles, amend = (deps) => deps } = parts
  const directory = await host.open()
  await lockHost(host, directory)
  await host.endPredecessor()

  let reporting: Awaited<ReturnType<typeof reportHost>> | undefined
  const worlds = makeWorldStore({
    worlds: config.worlds,
    host,
    run,
    fills: config.capacity.fills,
    kills: await openFillKills(join(directory, 'journal', 'fills'), log),
    log,
    changed: () => reporting?.changed(),
  })
  await worlds.open()
  const journal = await openJournal(join(directory, 'journal'), files)

  const keys = redisKeys(config.redisPrefix)
  const redis = connectRedis(config.redisUrl, waitForEver)
  const subscriber = connectRedis(config.redisUrl, waitForEver)
  for (const connection of [redis, subscriber]) connection.on('error', (error) => log.warn({ err: error.message }, 'redis'))
  const { found, send, sendFound } = openReportStream(redis, keys)

  const stopping = new AbortController()
  const withJail = makeJailLocks()
  const { builds, starts } = config.capacity
  const claim = {
    key: keys.hostAlive(config.host),
    holder: `${directory}, boot ${await host.bootId()}`,
    holdsMs: config.timing.silence,
  }
  // Needs no Redis: after a reboot clients have their jails before the fleet has its queue.
  const revived = reviveJails(settledJails(journal), {
    hostId: config.host,
    host,
    worlds,
    journal,
    log,
    withJail,
    send: sendFound,
  })
  await claimHost(redis, config.host, claim, stopping.signal)
  const way = makeGiveWay(mostGivenWayMs)
  const runDeps = amend({
    host,
    worlds,
    journal,
    plans,
    withJail,
    withSuspect: pLimit(1),
    giveWay: way.turn,
    send,
    standing: (job) => readStanding(redis, keys, job),
    bind: (job) => bindOperation(redis, keys, job),
    stopping: stopping.signal,
    retry,
  })
  const drift = makeHostNotes(redis, keys.hostDrift(config.host), Drift)
  const leftoverNotes = makeHostNotes(redis, keys.hostLeftovers(config.host), Leftover)
  await Promise.all([drift.open(), leftoverNotes.open()])
  const records = makeCompareRecords({ hostId: config.host, redis, keys, drift, log, send, run: runDeps })
  const fleet = await followFleet({
    hostId: config.host,
    directory: join(directory, 'journal'),
    redis,
    keys,
    journal,
    found,
    revived,
    send,
    onLost: () => reporting?.enrolAgain(),
    async onKnown() {
      await Promise.all([drift.writeAgain(), leftoverNotes.writeAgain()])
      await records.compareAll()
      reporting?.changed()
    },
    timing: config.timing,
    log,
  })
  await fleet.lookNow()
  // Where the records were lost, none of the jails here would be known.
  const compareAll = async () => {
    if (!fleet.isStrange()) await records.compareAll()
  }
  // Before any job is taken: what was moved away meanwhile may be anywhere else by now.
  await compareAll()
  const comparing = setInterval(compareAll, config.timing.compare)
  const timings = makeTimings({ write: (now) => redis.set(keys.hostTimings(config.host), JSON.stringify(now)), log })
  for await (const report of journal.latestReports(timedAtStart)) timings.note(report)

  const { leftoversFirst: firstMs, leftoversMost: mostMs } = config.timing
  const delays = { firstMs, mostMs }
  const leftovers = retryLeftovers({ host, journal, notes: leftoverNotes, log, withJail, delays })
  const operationLog = (operation: string) => makeOperationLog(redis, keys.log(config.host, operation))

  const runJob = makeRunJob({
    run: runDeps,
    ahead: way.ahead,
    runFill: makeRunFill({ worlds, send, standing: runDeps.standing, stopping: stopping.signal }),
    timings,
    ended({ jail, jailState }) {
      if (jailState === 'unchanged')
        tellStanding(jail, { hostId: config.host, host, journal, withJail, send: sendFound }).catch((error) =>
          log.error({ err: error, jail }, 'how a jail stands could not be told'),
        )
      if (drift.entries().has(jail)) void records.compareJail(jail)
      void leftovers.lookNow()
    },
  })
  const consumer = await consumeJobs({
    host: config.host,
    prefix: keys.host(config.host),
    slots: { build: builds, start: starts, stop: Math.max(2, starts) },
    stopping: stopping.signal,
    timing: config.timing,
    redis,
    log,
    operationLog,
    standing: runDeps.standing,
    refuseUnreadable: makeRefuseUnreadable({ hostId: config.host, run: runDeps, send, operationLog }),
    async run(...args) {
      await fleet.learn()
      return runJob(...args)
    },
  })
  const stopWatching = watchDrift({
    hostId: config.host,
    host,
    journal,
    withJail,
    send: sendFound,
    drift,
    revived,
    log,
    everyMs: config.timing.drift,
  })
  await followNotices({ subscriber, channel: keys.notices(config.host), consumer, retryLeftovers: leftovers.tryAll, log })
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
    leftovers: () => leftoverNotes.entries().size,
    fleet: fleet.known,
    load: () => readLoad({ worlds, consumer, journal }),
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
      // At once: what has to be ended by force while it still is at a step was not the doing of that.
      await journal.leaveRuns().catch((error) => log.warn({ err: error }, 'that runs were left could not be noted'))
      leftovers.stop()
      stopTrimming()
      stopWatching()
      stopRemoving()
      clearInterval(comparing)
      fleet.stop()
      timings.stop()
      await unlessAway(redis, redisAwayMs, endInOrder())
      redis.disconnect()
      subscriber.disconnect()
    },
  }
}
